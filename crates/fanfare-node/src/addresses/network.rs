//! What tells clients apart.

use std::net::IpAddr;
use std::num::NonZeroU64;

/// What a client cannot change at will: its IPv4 address, or the network of 64 bits of its IPv6
/// address, because with IPv6 everybody has 2^64 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(NonZeroU64);

/// The network of `::/64` in place of 0, the address that no client has.
const UNSPECIFIED: NonZeroU64 = NonZeroU64::MIN;

impl Network {
    /// The network of an address. IPv4 mapped into IPv6 is IPv4. Eight bytes hold both kinds: IPv4
    /// stands where the networks of `::/32` would, which nobody is given (RFC 4291 §2.5.5).
    pub fn of(address: IpAddr) -> Self {
        let bits = match address.to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX),
        };
        Self(NonZeroU64::new(bits).unwrap_or(UNSPECIFIED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn an_ipv4_address_is_one_client_and_so_is_a_network_of_ipv6() {
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("::1"), of("127.0.0.1"));
    }
}
