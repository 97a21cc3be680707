"""VidTok: video to a grid of latents or of indices, and back; every published network, causal or not.

The networks are written out here, although diffusers has an ``AutoencoderVidTok``, for two reasons. That one
(0.42) always replicates the first frame and always interpolates in time, so networks of version 1.0, which
have seen zeros before the first frame and repeated frames in training, cannot come out as published. And it
keeps what a stream remembers in attributes of its layers, so one model cannot serve two videos at a time.

Names of parameters are the published ones: loading a checkpoint means dropping the entries of its loss and
its regulariser, nothing else.
"""
