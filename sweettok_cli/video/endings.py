"""Endings of file names that are taken for video or pictures when a folder is searched.

A file given by name may have any ending: what it is, its content says.
"""

VIDEOS = frozenset((".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv", ".gif", ".mpg", ".mpeg", ".ts", ".y4m"))
PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"))
MEDIA = VIDEOS | PICTURES
