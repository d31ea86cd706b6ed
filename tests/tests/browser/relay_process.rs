//! The relay as a process: it says when it is ready, ends in order when asked, and comes back where it was.

use anyhow::Result;
use starling_tests::{Relay, RelayOptions, http, process};

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_dies_and_comes_back_on_the_same_ports_and_data() -> Result<()> {
    let mut relay = Relay::start_with(RelayOptions::default()).await?;
    let port = relay.port();
    assert_eq!(http::get(port, "/healthz").await?.status, 200);
    let pid = relay.pid().expect("it runs");
    assert!(process::resident_kib(pid).is_some_and(|kib| kib > 1000));
    assert!(process::descriptors(pid).is_some_and(|open| open > 3));

    relay.kill().await?;
    assert!(!relay.is_running());
    assert!(
        http::get(port, "/healthz").await.is_err(),
        "a killed relay still answers"
    );

    let mark = relay.log().mark();
    relay.restart().await?;
    assert_ne!(relay.pid(), Some(pid));
    assert_eq!(http::get(port, "/readyz").await?.status, 200);
    relay.log().wait(mark, &port.to_string()).await?;

    relay.stop().await?;
    assert!(
        http::get(port, "/healthz").await.is_err(),
        "a stopped relay still answers"
    );
    Ok(())
}
