//! What API Gateway and Lambda let through.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.

use axum::{body::Body, http::request::Parts};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::Refusal;

const MAX_HEADER_BYTES: usize = 10_240;
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// How much of a body that is too large is still read, so that its sender hears the answer.
const MAX_DRAINED_BYTES: usize = 4 * MAX_BODY_BYTES;
/// How large an event may be, and an answer.
pub(crate) const MAX_INVOCATION_BYTES: usize = 6 * 1024 * 1024;

/// The request line and the headers' values together.
pub(super) fn check_headers(parts: &Parts) -> Result<(), Refusal> {
    let target = parts.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = parts.method.as_str().len() + target + " HTTP/1.1".len() + 1;
    let values: usize = parts.headers.values().map(|value| value.len()).sum();
    match line + values > MAX_HEADER_BYTES {
        true => Err(Refusal::HEADERS_TOO_LARGE),
        false => Ok(()),
    }
}

/// The whole body.
pub(super) async fn read_body(mut body: Body) -> Result<Bytes, Refusal> {
    let mut read = BytesMut::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BAD_REQUEST)?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size > MAX_DRAINED_BYTES {
            break;
        }
        if size <= MAX_BODY_BYTES {
            read.extend_from_slice(&data);
        }
    }
    match size > MAX_BODY_BYTES {
        true => Err(Refusal::TOO_LARGE),
        false => Ok(read.freeze()),
    }
}

/// Lambda takes no larger event, so a large body can be refused below the gateway's own limit.
pub(super) fn check_event(event: &str) -> Result<(), Refusal> {
    match event.len() > MAX_INVOCATION_BYTES {
        true => Err(Refusal::TOO_LARGE),
        false => Ok(()),
    }
}

/// Lambda fails an invocation whose answer is larger.
pub(super) fn check_answer(answer: &str) -> Result<(), Refusal> {
    match answer.len() > MAX_INVOCATION_BYTES {
        true => Err(Refusal::FAILED),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(header_bytes: usize) -> Parts {
        let request = Request::get("/").header("x-long", "a".repeat(header_bytes)).body(());
        request.unwrap().into_parts().0
    }

    #[test]
    fn the_request_line_counts_as_headers_do() {
        let line = "GET / HTTP/1.1".len();
        assert_eq!(check_headers(&parts(MAX_HEADER_BYTES - line)), Ok(()));
        assert_eq!(
            check_headers(&parts(MAX_HEADER_BYTES - line + 1)),
            Err(Refusal::HEADERS_TOO_LARGE)
        );
    }

    #[tokio::test]
    async fn ten_megabytes_are_the_most() {
        let whole = read_body(Body::from(vec![0; MAX_BODY_BYTES])).await;
        assert_eq!(whole.unwrap().len(), MAX_BODY_BYTES);
        let larger = read_body(Body::from(vec![0; MAX_BODY_BYTES + 1])).await;
        assert_eq!(larger, Err(Refusal::TOO_LARGE));
    }
}
