//! How much memory this process may have.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::system::sysinfo;

/// The memory of the machine, or of the control group of this process if that has less, in bytes.
pub(crate) fn machine_memory() -> usize {
    let system = sysinfo();
    let machine = u64::from(system.mem_unit) * system.totalram;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limits(&groups, Path::new("/sys/fs/cgroup"));
    let least = limits.into_iter().chain([machine]).min();
    usize::try_from(least.unwrap_or(machine)).unwrap_or(usize::MAX)
}

/// The limits of the groups in `/proc/self/cgroup`, and of those above them. In a container the paths
/// may be those of the host: what is not found has no limit, and the root is always looked at.
fn limits(groups: &str, root: &Path) -> Vec<u64> {
    let files = groups.lines().filter_map(|line| {
        // "0::/path" is version 2; version 1 names its controllers: "4:memory:/path".
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            Some((root.to_owned(), path, "memory.max"))
        } else if controllers.split(',').any(|name| name == "memory") {
            Some((root.join("memory"), path, "memory.limit_in_bytes"))
        } else {
            None
        }
    });
    let read = |file: PathBuf| fs::read_to_string(file).ok()?.trim().parse().ok();
    let limits = files.flat_map(|(root, path, file)| {
        let places = Path::new(path).ancestors().map(|it| root.join(it));
        places.map(|place| place.join(file)).collect::<Vec<_>>()
    });
    limits.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn the_limits_of_a_control_group_and_of_those_above_it_are_read() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "a/b/memory.max", "max\n");
        write(root, "a/memory.max", "4096000\n");
        write(root, "memory/c/memory.limit_in_bytes", "512\n");
        write(
            root,
            "memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        assert_eq!(limits("0::/a/b\n", root), [4_096_000]);
        let first_version = "5:cpu,cpuacct:/c\n4:memory:/c\n";
        assert_eq!(
            limits(first_version, root),
            [512, 9_223_372_036_854_771_712]
        );
        assert_eq!(limits("", root), [0_u64; 0]);
    }

    #[test]
    fn in_a_container_with_the_paths_of_its_host_the_root_counts() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "memory.max", "1000\n");
        assert_eq!(limits("0::/docker/0123\n", root.path()), [1000]);
    }

    #[test]
    fn the_machine_has_memory() {
        assert!(machine_memory() > 1 << 20);
    }
}
