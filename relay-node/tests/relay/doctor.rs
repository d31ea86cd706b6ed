//! What `relay-node doctor` finds.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// What it says, and whether all is well.
fn doctor(folder: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_relay-node"))
        .arg("doctor")
        .arg("--data-dir")
        .arg(folder)
        .args(["--udp-port", "0"])
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), said)
}

#[test]
fn the_doctor_finds_nothing_where_nothing_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let (well, said) = doctor(&dir.path().join("new"), &["--listen", "127.0.0.1:0"]);
    assert!(well && !said.contains("WRONG"), "{said}");
    assert!(said.contains("will be made at the first start"), "{said}");
}

#[test]
fn the_doctor_names_a_port_that_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (well, said) = doctor(&dir.path().join("new"), &["--listen", &address]);
    assert!(!well && said.contains("1 thing is wrong"), "{said}");
    assert!(
        said.contains(&format!("WRONG {address} cannot be listened on")),
        "{said}"
    );
    assert!(
        said.contains("choose another with --listen"),
        "what to do: {said}"
    );
}

#[test]
fn the_doctor_names_an_etcd_and_a_relay_that_do_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody listens there any more.
    let gone = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (etcd, join) = (format!("etcd://{}", gone()), format!("http://{}", gone()));
    let args = ["--listen", "127.0.0.1:0", "--registry", &etcd, "--join", &join];
    let (well, said) = doctor(&dir.path().join("new"), &args);
    assert!(!well && said.contains("2 things are wrong"), "{said}");
    assert!(said.contains(&format!("WRONG the registry at {etcd}")), "{said}");
    assert!(said.contains(&format!("WRONG {join} does not answer")), "{said}");
}

#[test]
fn the_doctor_names_a_folder_in_which_the_relay_could_not_write() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    let dir = tempfile::tempdir().unwrap();
    let readable = std::fs::Permissions::from_mode(0o555);
    std::fs::set_permissions(dir.path(), readable).unwrap();
    // Any user but root, who may write everywhere; and a program that this user may execute.
    let program = Path::new("/proc/self/fd/0");
    let mut command = std::process::Command::new(program);
    command
        .stdin(std::fs::File::open(env!("CARGO_BIN_EXE_relay-node")).unwrap())
        .args(["doctor", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.path().join("new"));
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success(), "{said}");
    let place = dir.path().display();
    assert!(
        said.contains(&format!("this user cannot write in {place}")),
        "{said}"
    );
}

#[test]
fn the_doctor_names_a_metrics_port_that_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["--listen", "127.0.0.1:0", "--metrics-listen", &address];
    let (well, said) = doctor(&dir.path().join("new"), &args);
    assert!(!well && said.contains("1 thing is wrong"), "{said}");
    assert!(said.contains("choose another with --metrics-listen"), "{said}");
}

#[test]
fn the_doctor_names_a_relay_that_joins_itself() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--listen", "127.0.0.1:18999", "--join", "http://localhost:18999"];
    let (well, said) = doctor(&dir.path().join("new"), &args);
    assert!(!well, "{said}");
    assert!(said.contains("is this relay's own address"), "{said}");
    let args = ["--advertise", "https://a.example", "--join", "https://a.example"];
    let (_, said) = doctor(&dir.path().join("new"), &args);
    assert!(said.contains("is this relay's own address"), "{said}");
}

#[test]
fn the_doctor_names_a_folder_that_others_may_read_and_a_clock_that_was_set_back() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = std::fs::File::create(folder.join("listen")).unwrap();
    let in_three_days = std::time::SystemTime::now() + std::time::Duration::from_hours(72);
    file.set_modified(in_three_days).unwrap();
    let (well, said) = doctor(&folder, &["--listen", "127.0.0.1:0"]);
    assert!(!well && said.contains("2 things are wrong"), "{said}");
    assert!(said.contains("other users of this machine may read"), "{said}");
    assert!(said.contains("chmod -R go= "), "{said}");
    assert!(said.contains("minutes behind the last write"), "{said}");
}

#[test]
fn the_doctor_names_too_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("prlimit")
        .args(["--nofile=512:512", env!("CARGO_BIN_EXE_relay-node"), "doctor"])
        .args(["--listen", "127.0.0.1:0", "--udp-port", "0", "--data-dir"])
        .arg(dir.path().join("new"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        !output.status.success() && said.contains("raise the limit"),
        "{said}"
    );
}

#[test]
fn the_doctor_names_a_registry_that_would_be_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("names")).unwrap();
    let args = ["--listen", "127.0.0.1:0", "--registry", "etcd://127.0.0.1:9"];
    let (well, said) = doctor(dir.path(), &args);
    assert!(!well && said.contains("a registry of its own"), "{said}");
}

#[tokio::test]
async fn the_doctor_says_what_a_running_relay_says_of_itself() {
    let relay = super::process::Relay::start_unready(&["--join", "http://127.0.0.1:9"]).await;
    let started = std::time::Instant::now();
    loop {
        let (well, said) = doctor(&relay.data_dir(), &["--listen", "127.0.0.1:0"]);
        assert!(!well, "{said}");
        if said.contains("no relay at an address of --join was reached") {
            return;
        }
        assert!(started.elapsed() < super::process::DEADLINE, "{said}");
    }
}
