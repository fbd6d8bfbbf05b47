//! Networks, and which address a request came from when there are proxies in between.

use std::net::{IpAddr, Ipv6Addr};

/// A network; an address alone is one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    mask: u128,
}

impl Network {
    /// Returns the network of a text such as `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, length) = match text.trim().split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().ok()?;
        // As IPv6, the networks of both families are compared in one way.
        let (longest, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let length = length.unwrap_or(longest);
        if length > longest {
            return None;
        }
        let mask = u128::MAX.checked_shl(128 - (offset + length)).unwrap_or(0);
        Some(Network { bits: bits(address) & mask, mask })
    }

    /// Returns whether the address is in the network; IPv4 in IPv6 is IPv4.
    pub fn holds(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.bits
    }
}

/// The proxies whose word on the client's address is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Returns the proxies of a list of networks, separated by commas or blanks.
    ///
    /// # Errors
    /// The entry that is no network.
    pub fn parse(text: &str) -> Result<Proxies, String> {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        let network = |entry: &str| Network::parse(entry).ok_or_else(|| entry.to_owned());
        entries.map(network).collect::<Result<_, _>>().map(Proxies)
    }

    /// Returns the client's address: the peer's, or, where that is a proxy of ours, the address that it says it was asked
    /// by, and so on. `forwarded` is `X-Forwarded-For`, to which each proxy adds at the end: what stands before the first
    /// address that is not of ours was written by strangers.
    pub fn client(&self, peer: IpAddr, forwarded: &str) -> IpAddr {
        let mut client = peer.to_canonical();
        for hop in forwarded.rsplit(',').map(str::trim) {
            if !self.0.iter().any(|network| network.holds(client)) {
                break;
            }
            match hop.parse::<IpAddr>() {
                Ok(address) => client = address.to_canonical(),
                Err(_) => break,
            }
        }
        client
    }
}

fn bits(address: IpAddr) -> u128 {
    let v6: Ipv6Addr = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    v6.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        fn check(network: &str, address: &str, expected: bool) {
            let network = Network::parse(network).expect(network);
            assert_eq!(network.holds(address.parse().expect("an address")), expected, "{address}");
        }
        check("10.0.0.1", "10.0.0.1", true);
        check("10.0.0.1", "10.0.0.2", false);
        check("10.0.0.0/8", "10.200.3.4", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("0.0.0.0/0", "11.0.0.1", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("::/0", "1.2.3.4", true);
        check("10.0.0.1", "::ffff:10.0.0.1", true);
        for wrong in ["", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/x", "host"] {
            assert!(Network::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn only_proxies_of_ours_say_who_asked() {
        fn check(proxies: &str, peer: &str, forwarded: &str, expected: &str) {
            let address = |text: &str| text.parse::<IpAddr>().expect("an address");
            let client = Proxies::parse(proxies).expect(proxies).client(address(peer), forwarded);
            assert_eq!(client, address(expected), "{forwarded} from {peer}, {proxies} trusted");
        }
        check("", "10.0.0.1", "203.0.113.9", "10.0.0.1");
        check("10.0.0.0/8", "10.0.0.1", "203.0.113.9", "203.0.113.9");
        check("10.0.0.0/8", "198.51.100.1", "203.0.113.9", "198.51.100.1");
        check("10.0.0.0/8", "10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9");
        check("10.0.0.0/8 ::1", "::1", "203.0.113.9 , 10.0.0.2", "203.0.113.9");
        check("10.0.0.0/8", "::ffff:10.0.0.1", "2001:db8::9", "2001:db8::9");
        check("10.0.0.0/8", "10.0.0.1", "", "10.0.0.1");
        check("10.0.0.0/8", "10.0.0.1", "203.0.113.9, unknown", "10.0.0.1");
        check("0.0.0.0/0", "10.0.0.1", "1.1.1.1, 2.2.2.2", "1.1.1.1");
        assert_eq!(Proxies::parse("10.0.0.1, here"), Err("here".to_owned()));
    }
}
