//! Middleware that every request and response passes through.

use std::any::Any;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use tracing::error;

use super::problem::{Problem, unify};
use super::read_on::read_on;

/// The dashboard loads nothing from other sites. Inline styles are allowed because its charts set them.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Wraps the router in the middleware. The layer added last sees a request first.
pub(super) fn around(router: Router) -> Router {
    router
        // There are no accounts, so nothing but this check stops other sites' pages from sending requests.
        .layer(CsrfLayer::new())
        .layer(middleware::from_fn(unify))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(read_on))
        .layer(constant(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(constant(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(constant(header::REFERRER_POLICY, "no-referrer"))
        .layer(constant(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
}

fn constant(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

#[expect(clippy::needless_pass_by_value, reason = "tower-http's signature")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
    error!("a handler panicked: {text}");
    let detail = "see the server's log for details";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
}
