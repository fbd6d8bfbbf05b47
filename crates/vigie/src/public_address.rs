//! The public address, as DSNs and links show it: `system.url-prefix`, else what the running web role recorded in the
//! store, else what `web.listen` would give.

use crate::config::Config;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The setting under which the running web role records its address.
pub const SETTING: &str = "system.public-address";

/// Returns the address that a listener on `bound` is reached at from this machine.
pub fn of_listener(config: &Config, bound: SocketAddr) -> String {
    config.url_prefix.clone().unwrap_or_else(|| format!("http://{}", reachable(bound)))
}

/// Returns the address for a command beside (or without) a running process.
pub fn of_command(config: &Config, recorded: Option<String>) -> String {
    let from_config = || format!("http://{}", reachable(config.listen));
    config.url_prefix.clone().or(recorded).unwrap_or_else(from_config)
}

/// "All interfaces" is not an address one can open; this machine's own is.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        return SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_interfaces_is_reached_at_localhost() {
        let any: SocketAddr = "0.0.0.0:9000".parse().expect("an address");
        assert_eq!(reachable(any).to_string(), "127.0.0.1:9000");
    }
}
