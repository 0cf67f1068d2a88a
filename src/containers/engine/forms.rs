//! In which cgroups engines put their containers, where their files do not say it: one row an
//! engine and driver. And what a specification's `cgroupsPath` means.

#![forbid(unsafe_code)]

use super::Container;
use super::oci::string;
use super::records::{Kind, Root};
use crate::base::text::{join, parts};
use crate::containers::world::World;

/// A cgroup path as a driver forms it.
struct Form {
    /// The word of the engine that runs the container.
    engine: &'static str,
    /// What it lies in.
    top: Top,
    /// What stands before the container's ID.
    before: &'static str,
    /// What stands after it.
    after: &'static str,
}

/// What a cgroup lies in.
#[derive(Clone, Copy, PartialEq)]
enum Top {
    /// The hierarchy, where root's engine forms it.
    Root,
    /// The cgroup of the user's systemd, where a user's engine does.
    User,
    /// A cgroup called as containerd's namespace, where root's engine does.
    Namespace,
}

const fn form(engine: &'static str, top: Top, before: &'static str, after: &'static str) -> Form {
    Form { engine, top, before, after }
}

/// moby:daemon/oci_linux.go; podman:libpod/container_internal_linux.go;
/// cri-o:internal/config/cgmgr; containerd:pkg/oci/spec.go,
/// internal/cri/server/podsandbox/helpers_linux.go; nerdctl:run_cgroup_linux.go;
/// lxc:src/lxc/cgroups/cgfsng.c, and before LXC 4; pve-container:src/PVE/LXC.pm.
static FORMS: &[Form] = &[
    form("docker", Top::Root, "/docker/", ""),
    form("docker", Top::Root, "/system.slice/docker-", ".scope"),
    form("docker", Top::User, "/user.slice/docker-", ".scope"),
    form("podman", Top::Root, "/libpod_parent/libpod-", ""),
    form("podman", Top::Root, "/machine.slice/libpod-", ".scope"),
    form("podman", Top::User, "/user.slice/libpod-", ".scope"),
    form("crio", Top::Root, "/crio/crio-", ""),
    form("crio", Top::Root, "/system.slice/crio-", ".scope"),
    form("containerd", Top::Namespace, "/", ""),
    form("containerd", Top::Root, "/system.slice/cri-containerd-", ".scope"),
    form("containerd", Top::Root, "/system.slice/nerdctl-", ".scope"),
    form("containerd", Top::User, "/user.slice/nerdctl-", ".scope"),
    form("runc", Top::Root, "/system.slice/runc-", ".scope"),
    form("crun", Top::Root, "/system.slice/crun-", ".scope"),
    form("youki", Top::Root, "/system.slice/youki-", ".scope"),
    form("lxc", Top::Root, "/lxc.payload.", ""),
    form("lxc", Top::Root, "/lxc.payload/", ""),
    form("lxc", Top::Root, "/lxc/", "/ns"),
    form("lxc", Top::Root, "/lxc/", ""),
    form("incus", Top::Root, "/lxc.payload.", ""),
    form("lxd", Top::Root, "/lxc.payload.", ""),
    form("lxd", Top::Root, "/lxc/", ""),
];

/// Returns the cgroup that a container's specification tells, else those of the table.
pub(super) fn cgroups(world: &World<'_>, container: &Container) -> Option<Vec<Vec<u8>>> {
    Some(told(world, container).map_or_else(|| paths(world, container), |path| vec![path]))
}

/// Returns the cgroup that a container's specification tells, in its bundle or store.
pub(super) fn told(world: &World<'_>, container: &Container) -> Option<Vec<u8>> {
    let roots = container.roots().unwrap_or_default();
    roots.iter().find_map(|root| told_in(world, root, &container.id))
}

/// Returns the cgroup that the specification of an ID tells, where a place has those.
pub(super) fn told_in(world: &World<'_>, root: &Root, id: &[u8]) -> Option<Vec<u8>> {
    let config: &[u8] = match root.kind {
        Kind::Bundle => b"/config.json",
        Kind::Userdata => b"/userdata/config.json",
        _ => return None,
    };
    let config = [&root.path[..], b"/", id, config].concat();
    resolve(world, &string(world, &config, "linux cgroupsPath"))
}

/// Returns the paths in which the table says that a container may be.
pub(crate) fn paths(world: &World<'_>, container: &Container) -> Vec<Vec<u8>> {
    let namespace = container.roots().unwrap_or_default().iter().find_map(Root::namespace);
    let mut paths = Vec::new();
    for form in FORMS.iter().filter(|form| form.engine == container.runs_on) {
        let top = match (form.top, world.user_of(), namespace) {
            (Top::Root, None, _) => Vec::new(),
            (Top::User, Some(_), _) => user_top(world),
            (Top::Namespace, None, Some(namespace)) => join(b"", namespace),
            _ => continue,
        };
        paths.push(form.filled(&top, &container.id));
    }
    paths
}

impl Form {
    /// Returns the path of the container of this ID.
    fn filled(&self, top: &[u8], id: &[u8]) -> Vec<u8> {
        [top, self.before.as_bytes(), id, self.after.as_bytes()].concat()
    }
}

/// Returns the cgroup of the systemd of the user whose world it is; empty, the top, for root's.
fn user_top(world: &World<'_>) -> Vec<u8> {
    let top = world.user_of().map(|user| user.uid);
    top.map(|uid| format!("/user.slice/user-{uid}.slice/user@{uid}.service").into_bytes())
        .unwrap_or_default()
}

/// Returns the path that a `cgroupsPath` of a specification means: an absolute one, or
/// `SLICE:PREFIX:NAME` of a systemd driver. None where that depends on the runtime's own cgroup.
///
/// runc:docs/systemd.md; crun:src/libcrun/cgroup-systemd.c.
pub(crate) fn resolve(world: &World<'_>, cgroups_path: &[u8]) -> Option<Vec<u8>> {
    let default: &[u8] = if world.user_of().is_some() { b"user.slice" } else { b"system.slice" };
    resolve_in(&user_top(world), default, cgroups_path)
}

fn resolve_in(top: &[u8], default: &[u8], cgroups_path: &[u8]) -> Option<Vec<u8>> {
    if cgroups_path.starts_with(b"/") {
        return Some(cgroups_path.trim_ascii_end().to_vec()).filter(|path| path.len() > 1);
    }
    let parts: Vec<&[u8]> = parts(cgroups_path, b':').collect();
    let [slice, prefix, name] = parts[..] else { return None };
    if name.is_empty() || name.contains(&b'/') || prefix.contains(&b'/') {
        return None;
    }
    let slice = slice_path(if slice.is_empty() { default } else { slice })?;
    let unit = match (name.ends_with(b".slice"), prefix) {
        (true, _) => [b"", &b""[..], name, b""],
        (false, b"") => [b"", b"", name, b".scope"],
        (false, prefix) => [prefix, b"-", name, b".scope"],
    };
    Some([top, &slice, b"/", &unit.concat()].concat())
}

/// Returns the path of a systemd slice: `a-b.slice` is in `a.slice`. systemd.slice(5).
pub(crate) fn slice_path(slice: &[u8]) -> Option<Vec<u8>> {
    let stem = slice.strip_suffix(b".slice")?;
    if stem == b"-" {
        return Some(Vec::new());
    }
    let (mut path, mut end) = (Vec::new(), 0);
    for part in parts(stem, b'-') {
        if part.is_empty() || part.contains(&b'/') {
            return None;
        }
        end += part.len();
        path = [&path[..], b"/", &stem[..end], b".slice"].concat();
        end += 1;
    }
    Some(path)
}

/// Returns the paths that the container of ID `id` may have below a `--cgroup-parent`: a slice, or
/// else a directory.
pub(crate) fn below(world: &World<'_>, parent: &[u8], prefix: &str, id: &[u8]) -> Option<Vec<u8>> {
    if parent.ends_with(b".slice") && !parent.contains(&b'/') {
        return resolve(world, &[parent, b":", prefix.as_bytes(), b":", id].concat());
    }
    parent.starts_with(b"/").then(|| {
        let parent = parent.strip_suffix(b"/").unwrap_or(parent);
        [parent, b"/", id].concat()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: Option<Vec<u8>>) -> Option<String> {
        path.map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn slices_lie_in_slices() {
        for (slice, path) in [
            ("a.slice", Some("/a.slice")),
            ("a-b.slice", Some("/a.slice/a-b.slice")),
            ("a-b-c.slice", Some("/a.slice/a-b.slice/a-b-c.slice")),
            ("machine-libpod_pod_ab12.slice", Some("/machine.slice/machine-libpod_pod_ab12.slice")),
            ("-.slice", Some("")),
            ("a.scope", None),
            ("-a.slice", None),
            ("a--b.slice", None),
            ("a-.slice", None),
            (".slice", None),
            ("a/b.slice", None),
        ] {
            assert_eq!(text(slice_path(slice.as_bytes())).as_deref(), path, "{slice}");
        }
    }

    #[test]
    fn a_cgroups_path_is_a_path_or_a_unit_in_a_slice() {
        let resolved = |path: &str| text(resolve_in(b"", b"system.slice", path.as_bytes()));
        for (path, means) in [
            ("/docker/ab", Some("/docker/ab")),
            ("system.slice:docker:ab", Some("/system.slice/docker-ab.scope")),
            (":youki:ab", Some("/system.slice/youki-ab.scope")),
            (
                "kubepods-burstable-podx_y.slice:cri-containerd:ab",
                Some(
                    "/kubepods.slice/kubepods-burstable.slice/\
                     kubepods-burstable-podx_y.slice/cri-containerd-ab.scope",
                ),
            ),
            ("a.slice::ab", Some("/a.slice/ab.scope")),
            ("a.slice:x:b.slice", Some("/a.slice/b.slice")),
            ("docker/ab", None),
            ("a:b", None),
            ("a.slice:b:", None),
            ("a.slice:../x:b", None),
            ("", None),
            ("/", None),
        ] {
            assert_eq!(resolved(path).as_deref(), means, "{path}");
        }
        let user = b"/user.slice/user-7.slice/user@7.service";
        assert_eq!(
            text(resolve_in(user, b"user.slice", b"user.slice:libpod:ab")).as_deref(),
            Some("/user.slice/user-7.slice/user@7.service/user.slice/libpod-ab.scope")
        );
    }

    #[test]
    fn forms_are_filled() {
        let of = |engine: &str, top: Top| -> Vec<String> {
            let forms = FORMS.iter().filter(|form| form.engine == engine && form.top == top);
            forms.filter_map(|form| text(Some(form.filled(b"/u", b"ab")))).collect()
        };
        assert_eq!(of("docker", Top::Root), ["/u/docker/ab", "/u/system.slice/docker-ab.scope"]);
        let podman = ["/u/libpod_parent/libpod-ab", "/u/machine.slice/libpod-ab.scope"];
        assert_eq!(of("podman", Top::Root), podman);
        assert_eq!(of("podman", Top::User), ["/u/user.slice/libpod-ab.scope"]);
        assert_eq!(of("containerd", Top::Namespace), ["/u/ab"]);
        let lxc = ["/u/lxc.payload.ab", "/u/lxc.payload/ab", "/u/lxc/ab/ns", "/u/lxc/ab"];
        assert_eq!(of("lxc", Top::Root), lxc);
        let is_known = |word| super::super::ENGINES.iter().any(|it| it.words.contains(&word));
        assert!(FORMS.iter().all(|form| is_known(form.engine)));
    }
}
