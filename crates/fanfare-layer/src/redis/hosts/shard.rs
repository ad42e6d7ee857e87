//! Which host a name lives on.

/// The index of the host that a Redis channel belongs to among `hosts` of them: channels_redis'
/// `_consistent_hash`, so the order of the hosts is part of the protocol.
pub fn shard(name: &str, hosts: usize) -> usize {
    if hosts < 2 {
        return 0;
    }
    let ring = crc32fast::hash(name.as_bytes()) & 0xFFF;
    // The original divides by the float 4096 / n; a fraction of integers could differ at an edge.
    let share = 4096.0 / hosts as f64;
    (f64::from(ring) / share) as usize
}

#[cfg(test)]
mod tests {
    use super::shard;

    #[test]
    fn names_land_on_the_hosts_where_channels_redis_puts_them() {
        let counts = [1, 2, 3, 4, 5, 7, 10];
        let shards = |name| counts.map(|hosts| shard(name, hosts));
        assert_eq!(shards("notifications"), [0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(shards("asgi__group__notifications"), [0, 0, 1, 1, 2, 3, 4]);
        let channel = "specific.0123456789abcdef0123456789abcdef!";
        assert_eq!(shards(channel), [0, 0, 1, 1, 1, 2, 3]);
        assert_eq!((shard("key_one", 2), shard("key_one", 10)), (1, 6));
        assert_eq!((shard("key_two", 2), shard("key_two", 10)), (0, 4));
        assert_eq!(shard("anything", 0), 0);
    }
}
