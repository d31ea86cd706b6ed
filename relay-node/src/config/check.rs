//! Which settings cannot work, and why.

use std::path::PathBuf;

use engine::io::Routing;
use protocol::limits::ZONE_LEN_MAX;

use super::source::explain;
use super::{RegistryBackend, RelayRole, Settings};

/// Accepted heartbeat intervals in milliseconds: shorter ones cost traffic, longer ones delay failure detection.
const HEARTBEATS_MS: core::ops::RangeInclusive<u64> = 100..=600_000;

/// The shortest lease of a leader, in seconds: etcd grants no shorter one.
pub(super) const LEAD_S_MIN: u64 = 2;

/// The greatest duration that a setting may have, in seconds: about a year. Larger values are rejected as mistakes.
const SECONDS_MAX: u64 = 366 * 24 * 60 * 60;

/// The largest cache of the store, in MiB: 64 GiB. Larger values are rejected as mistakes.
const CACHE_MIB_MAX: usize = 64 << 10;

/// Accepted rates of repair, in KiB a second: with 0 nothing would ever be fetched.
const REPAIR_KIB_PER_S: core::ops::RangeInclusive<u32> = 1..=(u32::MAX / 1024);

/// Greatest proof of work for a claim, in bits, that browsers accept.
const NAME_WORK_BITS_MAX: u8 = 24;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file was named that is not there.
    #[error("there is no settings file {}; --config or STARLING_CONFIG names it", .0.display())]
    NoFile(PathBuf),
    /// Not readable as settings.
    #[error("{}", explain(.0))]
    Settings(Box<figment::Error>),
    /// A value that cannot work.
    #[error("the setting `{setting}` is not right: {problem}")]
    Value {
        /// The name of the setting.
        setting: &'static str,
        /// Why, and what to do.
        problem: String,
    },
}

/// Refuses settings that cannot work.
///
/// # Errors
/// [`ConfigError::Value`], naming the setting.
pub(super) fn check(settings: &Settings) -> Result<(), ConfigError> {
    let wrong = |setting, problem: String| Err(ConfigError::Value { setting, problem });
    if let Some(dir) = &settings.app_dir
        && !dir.is_dir()
    {
        return wrong("app_dir", format!("there is no folder {}", dir.display()));
    }
    for origin in &settings.allowed_origin {
        let authority = origin.strip_prefix("https://").or(origin.strip_prefix("http://"));
        if origin != "*" && authority.is_none_or(|a| a.trim_end_matches('/').contains('/')) {
            let problem = format!("`{origin}` is no origin; one looks like https://app.example");
            return wrong("allowed_origin", problem);
        }
    }
    for host in &settings.host {
        if host.is_empty() || host.contains('/') {
            let problem = format!("`{host}` is no host; one looks like relay.example or relay.example:8443");
            return wrong("host", problem);
        }
    }
    for ip in &settings.public_ip {
        if ip.is_unspecified() || ip.is_multicast() {
            return wrong("public_ip", format!("browsers cannot reach {ip}"));
        }
    }
    if settings.zone.len() > ZONE_LEN_MAX || settings.zone.contains(char::is_control) {
        let problem = format!("a zone is a name of at most {ZONE_LEN_MAX} bytes");
        return wrong("zone", problem);
    }
    if settings.replicas == 0 {
        return wrong("replicas", "at least 1 relay has to keep each feed".to_owned());
    }
    if !HEARTBEATS_MS.contains(&settings.heartbeat_ms) {
        let (least, most) = (HEARTBEATS_MS.start(), HEARTBEATS_MS.end());
        return wrong("heartbeat_ms", format!("choose from {least} to {most}"));
    }
    for (setting, weight) in settings.weights() {
        if !(0.0..=f64::from(Routing::WEIGHT_MAX)).contains(&weight) {
            let most = Routing::WEIGHT_MAX;
            return wrong(setting, format!("{weight} is no weight; choose from 0 to {most}"));
        }
    }
    if settings.weights().iter().all(|(_, weight)| *weight as f32 == 0.0) {
        let problem =
            "with all weights 0 every relay is as good as any; leave at least one above 0".to_owned();
        return wrong("routing_response", problem);
    }
    if settings.open && !settings.allow_relay.is_empty() {
        let problem =
            "with allow_relay the listed relays alone are members; leave one of the two out".to_owned();
        return wrong("open", problem);
    }
    if settings.roles.contains(&RelayRole::Index)
        && settings.registry == RegistryBackend::Embedded
        && !settings.join.is_empty()
    {
        let problem =
            "two relays of a network that each keep names in a file of their own would give one name to two \
            people: name a shared --registry, or leave the role index to one relay"
                .to_owned();
        return wrong("roles", problem);
    }
    if settings
        .registry_lead_s
        .is_some_and(|seconds| seconds < LEAD_S_MIN)
    {
        return wrong(
            "registry_lead_s",
            format!("choose from {LEAD_S_MIN} to {SECONDS_MAX}"),
        );
    }
    if settings.registry_sweep_s == 0 {
        return wrong("registry_sweep_s", format!("choose from 1 to {SECONDS_MAX}"));
    }
    if !REPAIR_KIB_PER_S.contains(&settings.repair_kib_per_s) {
        let (least, most) = (REPAIR_KIB_PER_S.start(), REPAIR_KIB_PER_S.end());
        return wrong("repair_kib_per_s", format!("choose from {least} to {most}"));
    }
    for (setting, seconds) in [
        ("registry_lead_s", settings.registry_lead_s.unwrap_or(0)),
        ("registry_sweep_s", settings.registry_sweep_s),
        ("repair_grace_s", settings.repair_grace_s),
    ] {
        if seconds > SECONDS_MAX {
            return wrong(setting, format!("at most {SECONDS_MAX}, a year"));
        }
    }
    if settings.cache_mib > CACHE_MIB_MAX {
        return wrong("cache_mib", format!("choose from 0 to {CACHE_MIB_MAX}, 64 GiB"));
    }
    if settings.name_work_bits > NAME_WORK_BITS_MAX {
        let problem = format!("at most {NAME_WORK_BITS_MAX}: more takes a telephone minutes");
        return wrong("name_work_bits", problem);
    }
    for (setting, file) in [
        ("registry_ca", &settings.registry_ca),
        ("registry_cert", &settings.registry_cert),
        ("registry_key", &settings.registry_key),
    ] {
        if let Some(file) = file
            && !file.is_file()
        {
            return wrong(setting, format!("there is no file {}", file.display()));
        }
    }
    if settings.registry_cert.is_some() != settings.registry_key.is_some() {
        let problem =
            "a certificate is of use only with its key: set registry_cert and registry_key".to_owned();
        return wrong("registry_cert", problem);
    }
    if settings.links_max == 0 {
        return wrong(
            "links_max",
            "choose at least 1: a relay without links serves nobody".to_owned(),
        );
    }
    if settings.sockets_per_address_max == 0 {
        let problem = "choose at least 1: nobody could connect".to_owned();
        return wrong("sockets_per_address_max", problem);
    }
    if settings.address_cpu_percent > 100 {
        return wrong("address_cpu_percent", "choose from 0 to 100".to_owned());
    }
    if let Err(problem) = crate::logging::filter(&settings.log) {
        return wrong("log", problem);
    }
    Ok(())
}
