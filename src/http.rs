//! A one-shot HTTP/1.1 client without TLS, for endpoints on the local network: an admin address, the monitoring of a
//! server, a collector of traces.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Time limit of one request.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Fetches `http://<address><path>`.
///
/// # Errors
/// When there is no answer in time, or its status is not 200.
pub(crate) async fn get(address: &str, path: &str) -> io::Result<Vec<u8>> {
    let request = Request::get(path).header(HOST, address).body(Full::default());
    in_time(exchange(address, request.map_err(io::Error::other)?)).await
}

/// Posts a body of this media type to `http://<address><path>`.
///
/// # Errors
/// When there is no answer in time, or its status is not 200.
#[cfg(feature = "otlp")]
pub(crate) async fn post(address: &str, path: &str, media: &str, body: Vec<u8>) -> io::Result<Vec<u8>> {
    let request = Request::post(path).header(HOST, address).header(hyper::header::CONTENT_TYPE, media);
    let request = request.body(Full::from(body)).map_err(io::Error::other)?;
    in_time(exchange(address, request)).await
}

async fn in_time(exchanged: impl Future<Output = io::Result<Vec<u8>>>) -> io::Result<Vec<u8>> {
    let in_time = tokio::time::timeout(TIMEOUT, exchanged).await;
    in_time.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))?
}

async fn exchange(address: &str, request: Request<Full<Bytes>>) -> io::Result<Vec<u8>> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
    // The connection makes progress only in a task of its own. It is aborted below: this request is the only one.
    let driver = tokio::spawn(connection);
    let answered = answer(sender.send_request(request)).await;
    driver.abort();
    answered
}

async fn answer(asked: impl Future<Output = hyper::Result<Response<Incoming>>>) -> io::Result<Vec<u8>> {
    let answer = asked.await.map_err(io::Error::other)?;
    if answer.status() != StatusCode::OK {
        return Err(io::Error::other(format!("it answers with status {}", answer.status())));
    }
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok(body.map_err(io::Error::other)?.to_bytes().to_vec())
}
