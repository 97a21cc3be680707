"""VidTok: video to a grid of latents or of indices, and back; every published network, causal or not.

The networks are written out here, although diffusers (0.42) has an ``AutoencoderVidTok``: that one always
replicates the first frame and interpolates in time, so networks of version 1.0, trained on zeros and repeated
frames, cannot come out as published; and it keeps what a stream remembers in its layers, so one model cannot
serve two videos at a time. Names of parameters are the published ones, without those of loss and regulariser.
"""
