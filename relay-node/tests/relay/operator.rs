//! What an operator sees of a relay and of its commands when something is not as it should be.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::process::{DEADLINE, Relay};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay-node"));
    command.stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn with_folder(folder: &Path, args: &[&str]) -> (bool, String) {
    let output = program()
        .args(args)
        .arg("--data-dir")
        .arg(folder)
        .output()
        .unwrap();
    (output.status.success(), said(&output))
}

fn full_disk() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_no_panic() {
    for args in [["init"].as_slice(), &["config", "check"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        for out in [Stdio::from(writer), Stdio::from(full_disk())] {
            let output = program().args(args).stdout(out).output().unwrap();
            let said = said(&output);
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.contains("the output could not be written"), "{said}");
            assert!(!said.contains("panicked"), "{said}");
        }
    }
    let output = program()
        .arg("doctor")
        .args(["--log", "loud"])
        .stderr(full_disk())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "not even the error can be written");
}

/// Waits until a relay with this folder answers at `/healthz`.
fn wait_for(folder: &Path) {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < DEADLINE, "it does not start");
        let address = fs::read_to_string(folder.join("listen")).unwrap_or_default();
        if let Ok(mut stream) = std::net::TcpStream::connect(&address) {
            let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            let mut answer = String::new();
            let _ = stream.write_all(request.as_bytes());
            if stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200") {
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_relay_runs_on_and_stops_in_order_whatever_becomes_of_its_log() {
    let (reader, pipe) = std::io::pipe().unwrap();
    drop(reader);
    for log in [Stdio::from(full_disk()), Stdio::from(pipe)] {
        let dir = tempfile::tempdir().unwrap();
        let mut relay = program()
            .args(["run", "--listen", "127.0.0.1:0", "--udp-port", "0", "--data-dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        wait_for(dir.path());
        kill_process(Pid::from_child(&relay), Signal::TERM).unwrap();
        assert!(relay.wait().unwrap().success());
    }
}

#[test]
fn text_of_the_environment_is_text_and_a_password_is_never_printed() {
    let check = |variables: &[(&str, &str)]| {
        let variables = variables.iter().copied();
        let output = program()
            .args(["config", "check"])
            .envs(variables)
            .output()
            .unwrap();
        (output.status.success(), said(&output))
    };
    let (good, said) = check(&[
        ("STARLING_REGISTRY_PASSWORD", "12345678"),
        ("STARLING_ZONE", "5"),
        ("STARLING_NAME", "true"),
        ("STARLING_UDP_PORT", "3478"),
        ("STARLING_REPLICAS", "2"),
        ("STARLING_HOST", "a.example, b.example"),
    ]);
    assert!(good, "{said}");
    for line in [
        "zone = \"5\"",
        "name = \"true\"",
        "udp_port = 3478",
        "replicas = 2",
        "\"b.example\"]",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("12345678"), "{said}");
    let (good, said) = check(&[("STARLING_REPLICAS", "many")]);
    assert!(
        !good && said.contains("STARLING_REPLICAS") && said.contains("`replicas`"),
        "{said}"
    );
}

#[test]
fn a_command_about_a_stopped_relay_says_that_it_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["status"][..], &["route", "@ada"], &["drain"], &["members"]] {
        let (good, said) = with_folder(dir.path(), args);
        assert!(!good, "{args:?}: {said}");
        assert!(said.contains("is stopped"), "{args:?}: {said}");
        assert!(!said.contains("8080"), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn a_folder_that_others_may_read_is_closed_to_them() {
    let mut relay = Relay::start().await;
    relay.kill();
    let folder = relay.data_dir();
    for (name, mode) in [
        ("", 0o755),
        ("posts", 0o755),
        ("names", 0o755),
        ("control.token", 0o644),
    ] {
        fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
    }
    relay.restart().await;
    let mut open = Vec::new();
    for entry in fs::read_dir(&folder)
        .unwrap()
        .chain(fs::read_dir(folder.join("names")).unwrap())
    {
        let entry = entry.unwrap();
        // What was there within the folder is behind a door.
        if entry.metadata().unwrap().permissions().mode() & 0o077 != 0 {
            open.push(entry.path());
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_relay_that_is_no_member_is_not_ready_and_says_so_everywhere() {
    let first = Relay::start().await;
    let join = format!("http://{}", first.address);
    let relay = Relay::start_unready(&["--join", &join]).await;
    let started = Instant::now();
    let problem = loop {
        let answer = relay.get("/readyz", &[]).await;
        if answer.status == 503 && answer.text().contains("no member of the network invites") {
            break answer.text();
        }
        assert!(started.elapsed() < DEADLINE, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
    let why = "no member of the network invites this relay";
    assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    let condition = &problem["conditions"][0];
    assert_eq!(condition["condition"], "no-member");
    assert!(
        condition["remedy"].as_str().unwrap().contains("adopt"),
        "{condition}"
    );
    assert!(condition["since_ms"].as_u64().unwrap() > 0);

    let report = relay.get("/api/health", &[]).await;
    assert!(
        report.status == 200 && report.text().contains("\"ready\":false"),
        "{}",
        report.text()
    );
    let (good, said) = with_folder(&relay.data_dir(), &["status"]);
    assert!(
        !good && said.contains(", not ready\n") && said.contains(why),
        "{said}"
    );
}

/// The status with which a page of another origin is answered that opens a WebSocket.
fn opened_by_app(address: std::net::SocketAddr) -> u16 {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /signal HTTP/1.1\r\nHost: {address}\r\nOrigin: https://app.example\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    String::from_utf8_lossy(&head[9..]).parse().unwrap()
}

#[tokio::test]
async fn a_hangup_reloads_what_can_change_and_names_what_cannot() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relay.toml");
    fs::write(&file, "log = \"info\"\n").unwrap();
    let mut relay = Relay::start_with(&["--config", file.to_str().unwrap()]).await;
    assert_eq!(opened_by_app(relay.address), 403);
    fs::write(
        &file,
        "allowed_origin = [\"https://app.example\"]\nreplicas = 2\n",
    )
    .unwrap();
    relay.signal(Signal::HUP);
    relay.logged("settings reloaded", "allowed_origin");
    relay.logged("take effect at the next start", "replicas");
    assert_eq!(opened_by_app(relay.address), 101);
    fs::write(&file, "replicas = \"many\"\n").unwrap();
    relay.signal(Signal::HUP);
    relay.logged("settings not reloaded", "`replicas`");
    assert_eq!(relay.get("/healthz", &[]).await.status, 200, "it runs on");
    relay.signal(Signal::TERM);
    assert!(relay.wait().success());
}
