//! The build without libtorch refuses jobs that need libtorch when they are submitted.

use blazetune::model::layout::BACK;
use blazetune::model::tensors::{Array, Weights, shapes};
use blazetune::weights::pth;
use serde_json::json;

use crate::models::upload;
use crate::support::{Server, id, script};

#[tokio::test]
async fn jobs_that_need_libtorch_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("sleep 100")).await;
    let dataset = server.dataset().await;
    let arrays = shapes(&BACK).into_iter().map(|(name, shape)| {
        let values = vec![0.01; shape.iter().product()];
        (name, Array { shape, values })
    });
    let back = pth::write(&Weights::new(arrays.collect()).unwrap()).unwrap();
    let (_, back) = upload(&server, "back", back).await;
    let train = |params| json!({"kind": "train", "dataset_id": dataset, "params": params});
    let cases = [
        (train(json!({"unfold": "calibrated"})), "/params/unfold", "unfold = calibrated"),
        (train(json!({"device": "cuda:0"})), "/params/device", "a GPU"),
        (train(json!({"init": id(&back)})), "/params/init", "the back camera's network"),
        (
            json!({"kind": "evaluate", "dataset_id": dataset, "model_id": id(&back)}),
            "/model_id",
            "the back camera's network",
        ),
    ];
    for (body, pointer, what) in cases {
        let (status, problem) = server.post("/jobs", &body).await;
        let wrong = &problem["errors"][0];
        assert_eq!((status, &wrong["pointer"]), (422, &json!(pointer)), "{problem}");
        let detail = wrong["detail"].as_str().unwrap();
        assert!(detail.starts_with(what), "{detail}");
        assert!(
            detail.contains("needs libtorch, which this build of Blazetune does not have"),
            "{detail}"
        );
    }
}
