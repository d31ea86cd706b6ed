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
