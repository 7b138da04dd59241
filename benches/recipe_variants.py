"""The variants that `recipe.py` tries: parameters that differ from the defaults, and why they might help."""

# The former defaults, from when each batch was normalised with its own statistics.
BATCH = {"unfold": "calibrated", "gradient_clip_norm": 5.0, "warmup_epochs": 0.5, "loss": {"teacher_weight": 0.0}}

VARIANTS = {
    "default": {"why": "", "params": {}},
    "published": {"why": "the published trainer's recipe", "params": {"preset": "published"}},
    "crowd": {"why": "the preset for small faces", "params": {"preset": "crowd"}},
    "selfie": {"why": "the preset for large faces", "params": {"preset": "selfie"}},
    "lr_2e-3": {"why": "two thirds of the learning rate", "params": {"learning_rate": 2e-3}},
    "lr_4e-3": {"why": "four thirds", "params": {"learning_rate": 4e-3}},
    "adamw": {"why": "AdamW for every parameter", "params": {"optimizer": "adamw"}},
    "batch_16": {"why": "half the steps", "params": {"batch_size": 16}},
    "batch_32": {"why": "a quarter of the steps", "params": {"batch_size": 32}},
    "no_mosaic": {"why": "every view shows one picture", "params": {"views": {"mosaic": 0.0}}},
    "mosaic_0.75": {"why": "more mosaics", "params": {"views": {"mosaic": 0.75}}},
    "wide_views": {"why": "zooms from 0.3 to 1.3", "params": {"views": {"scale_min": 0.3, "scale_max": 1.3}}},
    "small_views": {"why": "zooms from 0.7 to 1.5", "params": {"views": {"scale_min": 0.7, "scale_max": 1.5}}},
    "no_rotation": {"why": "", "params": {"views": {"rotation_degrees": 0.0}}},
    "gentle_colours": {
        "why": "half the colour changes, no grey",
        "params": {"colours": {"brightness": 0.15, "contrast": 0.15, "saturation": 0.15, "grey": 0.0}},
    },
    "best_cell": {
        "why": "all anchors of the one cell that overlaps a face most",
        "params": {"loss": {"assignment": "best_cell"}},
    },
    "huber": {"why": "Huber loss of the edges for distance-IoU", "params": {"loss": {"box_loss": "huber", "box_weight": 150.0}}},
    "plain_quality": {"why": "scores learn the overlap, however small", "params": {"loss": {"min_quality": 0.0}}},
    "batch_statistics": {"why": "each batch normalised with its own statistics", "params": BATCH},
    "two_views": {
        "why": "the same, with two views at a time",
        "params": BATCH | {"batch_size": 2, "accumulate_batches": 4},
    },
    "frozen_only": {
        "why": "BatchNorm frozen, otherwise the former defaults",
        "params": BATCH | {"unfold": "frozen"},
    },
    "no_teacher": {"why": "no teacher for large faces", "params": {"loss": {"teacher_weight": 0.0}}},
    "published_unfolding": {"why": "BatchNorm unfolded without calibration", "params": {"unfold": "identity"}},
    "folded": {"why": "no BatchNorm", "params": {"unfold": "folded"}},
    "clip_5": {"why": "only large gradients are clipped", "params": {"gradient_clip_norm": 5.0}},
    "keypoints_free": {"why": "no keypoint loss", "params": {"loss": {"keypoint_weight": 0.0}}},
    "keypoints_8": {"why": "twice the keypoint loss", "params": {"loss": {"keypoint_weight": 8.0}}},
    "teacher": {
        "why": "scores and boxes taught on faces of which the base model is sure",
        "params": {"loss": {"teacher_weight": 1.0}},
    },
}
