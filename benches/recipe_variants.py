"""What `recipe.py` tries: parameters that differ from the defaults, and why they might help."""

VARIANTS = {
    "default": {"why": "", "params": {}},
    "no_mosaic": {"why": "every view is of one picture", "params": {"views": {"mosaic": 0.0}}},
    "mosaic_0.75": {"why": "more mosaics", "params": {"views": {"mosaic": 0.75}}},
    "adamw": {"why": "AdamW for every parameter", "params": {"optimizer": "adamw"}},
    "batch_16": {"why": "", "params": {"batch_size": 16}},
    "batch_32": {"why": "", "params": {"batch_size": 32}},
    "wide_views": {"why": "zooms from 0.3 to 1.3", "params": {"views": {"scale_min": 0.3, "scale_max": 1.3}}},
    "small_views": {"why": "zooms from 0.7 to 1.5", "params": {"views": {"scale_min": 0.7, "scale_max": 1.5}}},
    "no_rotation": {"why": "", "params": {"views": {"rotation_degrees": 0.0}}},
    "plain_quality": {"why": "scores are taught the overlap, however small", "params": {"loss": {"min_quality": 0.0}}},
    "keypoints_free": {"why": "keypoints not held", "params": {"loss": {"keypoint_weight": 0.0}}},
    "keypoints_12": {"why": "keypoints held three times as hard", "params": {"loss": {"keypoint_weight": 12.0}}},
    "teacher": {"why": "scores and boxes held on faces the untouched model is sure of", "params": {"loss": {"teacher_weight": 1.0}}},
    "lr_1e-3": {"why": "half the learning rate", "params": {"learning_rate": 1e-3}},
    "lr_4e-3": {"why": "twice the learning rate", "params": {"learning_rate": 4e-3}},
    "min_face_5": {"why": "faces under 5 pixels are not learnt", "params": {"loss": {"min_face_px": 5.0}}},
    "gentle_colours": {"why": "half the colour changes, no grey",
                       "params": {"colours": {"brightness": 0.15, "contrast": 0.15, "saturation": 0.15, "grey": 0.0}}},
    "ema_0.995": {"why": "a shorter average", "params": {"ema_decay": 0.995}},
}
