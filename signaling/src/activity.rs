//! What a connection is doing: whether a response is under way, and since when its client takes no more of it.
//!
//! A response is under way from the end of the request's head until the kernel has all its bytes. Then a connection can
//! be closed at once without cutting it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// What one connection is doing. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Requests whose response is not complete yet.
    answering: usize,
    /// Whether bytes of a response may wait for the kernel to take them.
    unsent: bool,
    /// Since when the kernel takes nothing, because the client reads nothing.
    blocked_since: Option<Instant>,
}

impl Activity {
    /// A request was read. Its response is complete when the returned value is dropped.
    pub(crate) fn begin(&self) -> Answering {
        let mut state = self.lock();
        state.answering += 1;
        state.unsent = true;
        Answering(self.clone())
    }

    /// Whether a response is under way.
    pub(crate) fn is_answering(&self) -> bool {
        let state = self.lock();
        state.answering > 0 || state.unsent
    }

    /// The kernel had no room for bytes of the connection.
    pub(crate) fn blocked(&self) {
        self.lock().blocked_since.get_or_insert_with(Instant::now);
    }

    /// The kernel took bytes. `true`: it had no room before.
    pub(crate) fn progressed(&self) -> bool {
        self.lock().blocked_since.take().is_some()
    }

    /// The kernel has all bytes that were written.
    pub(crate) fn flushed(&self) {
        let mut state = self.lock();
        state.unsent = state.answering > 0;
    }

    /// Resolves when the kernel has taken nothing for this time although there were bytes to send.
    pub(crate) async fn stalled(&self, within: Duration) {
        loop {
            let blocked_since = self.lock().blocked_since;
            match blocked_since.map(|since| since + within) {
                Some(end) if end <= Instant::now() => return,
                Some(end) => sleep_until(end).await,
                None => sleep(within).await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Answering(Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.lock().answering -= 1;
    }
}

/// The body of a response that is under way until the body was read to its end.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    pub(crate) body: Body,
    pub(crate) _answering: Answering,
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request, which fails if it is not complete in time.
#[derive(Debug)]
struct RequestBody {
    body: Incoming,
    deadline: Pin<Box<Sleep>>,
}

/// The client took too long to send the body of its request.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body of the request did not arrive in time")]
struct BodyTooSlow;

/// The body, which must arrive within this time.
pub(crate) fn request_body(body: Incoming, within: Duration) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::new(RequestBody {
        body,
        deadline: Box::pin(sleep(within)),
    })
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => self
                .deadline
                .as_mut()
                .poll(cx)
                .map(|()| Some(Err(BodyTooSlow.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_under_way_until_the_kernel_has_all_of_it() {
        let activity = Activity::default();
        assert!(!activity.is_answering());
        let answering = activity.begin();
        activity.flushed();
        assert!(activity.is_answering(), "only its head was sent");
        drop(answering);
        assert!(activity.is_answering(), "its last bytes wait");
        activity.flushed();
        assert!(!activity.is_answering());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_stalled_when_it_takes_nothing_for_the_whole_time() {
        let activity = Activity::default();
        let within = Duration::from_secs(30);
        let stalled = |activity: &Activity| {
            let activity = activity.clone();
            tokio::spawn(async move { activity.stalled(within).await })
        };
        let waiting = stalled(&activity);
        for _ in 0..10 {
            activity.blocked();
            sleep(Duration::from_secs(20)).await;
            assert!(activity.progressed() && !activity.progressed());
        }
        assert!(!waiting.is_finished());
        sleep(Duration::from_secs(100)).await;
        assert!(!waiting.is_finished(), "there is nothing to send");
        activity.blocked();
        let began = Instant::now();
        sleep(Duration::from_secs(10)).await;
        activity.blocked();
        waiting.await.unwrap();
        let took = began.elapsed();
        assert!(
            took >= within && took < within + Duration::from_secs(1),
            "{took:?}"
        );
    }
}
