"""What `recipe.py` tries: parameters that differ from the defaults, and why they might help."""

VARIANTS = {
    "default": {"why": "", "params": {}},
    "adamw": {"why": "AdamW for every parameter", "params": {"optimizer": "adamw"}},
    "batch_32": {"why": "a quarter of the steps", "params": {"batch_size": 32}},
    "wide_views": {"why": "zooms from 0.3 to 1.3", "params": {"views": {"scale_min": 0.3, "scale_max": 1.3}}},
    "plain_quality": {"why": "scores are taught the overlap, however small", "params": {"loss": {"min_quality": 0.0}}},
    "keypoints_4": {"why": "keypoints held harder", "params": {"loss": {"keypoint_weight": 4.0}}},
    "lr_1e-3": {"why": "half the learning rate", "params": {"learning_rate": 1e-3}},
    "min_face_5": {"why": "faces under 5 pixels are not learnt", "params": {"loss": {"min_face_px": 5.0}}},
    "gentle_colours": {"why": "half the colour changes, no grey",
                       "params": {"colours": {"brightness": 0.15, "contrast": 0.15, "saturation": 0.15, "grey": 0.0}}},
    "ema_0.995": {"why": "a shorter average", "params": {"ema_decay": 0.995}},
}
