//! In which cgroups engines put their containers, where their files do not say it: one row an
//! engine and driver. And what a specification's `cgroupsPath` means.

#![forbid(unsafe_code)]

use super::Container;
use super::oci::strings;
use super::records::Kind;
use crate::containers::world::World;

/// Where a specification, a config.json, has its cgroup path.
pub(super) const SPEC: &str = "linux cgroupsPath";

/// A cgroup path as a driver forms it.
struct Form {
    /// The word of the engine that runs the container.
    engine: &'static str,
    /// Whether a user's engine forms it so; else root's.
    is_users: bool,
    /// `%i` stands for the container's ID, `%n` for containerd's namespace, `%u` for the cgroup of
    /// the user's systemd.
    path: &'static str,
}

const fn roots(engine: &'static str, path: &'static str) -> Form {
    Form { engine, is_users: false, path }
}

const fn users(engine: &'static str, path: &'static str) -> Form {
    Form { engine, is_users: true, path }
}

/// moby:daemon/oci_linux.go; podman:libpod/container_internal_linux.go;
/// cri-o:internal/config/cgmgr; containerd:pkg/oci/spec.go,
/// internal/cri/server/podsandbox/helpers_linux.go; nerdctl:run_cgroup_linux.go;
/// lxc:src/lxc/cgroups/cgfsng.c, and before LXC 4; pve-container:src/PVE/LXC.pm.
static FORMS: &[Form] = &[
    roots("docker", "/docker/%i"),
    roots("docker", "/system.slice/docker-%i.scope"),
    users("docker", "%u/user.slice/docker-%i.scope"),
    roots("podman", "/libpod_parent/libpod-%i"),
    roots("podman", "/machine.slice/libpod-%i.scope"),
    users("podman", "%u/user.slice/libpod-%i.scope"),
    roots("crio", "/crio/crio-%i"),
    roots("crio", "/system.slice/crio-%i.scope"),
    roots("containerd", "/%n/%i"),
    roots("containerd", "/system.slice/cri-containerd-%i.scope"),
    roots("containerd", "/system.slice/nerdctl-%i.scope"),
    users("containerd", "%u/user.slice/nerdctl-%i.scope"),
    roots("runc", "/system.slice/runc-%i.scope"),
    roots("crun", "/system.slice/crun-%i.scope"),
    roots("youki", "/system.slice/youki-%i.scope"),
    roots("lxc", "/lxc.payload.%i"),
    roots("lxc", "/lxc.payload/%i"),
    roots("lxc", "/lxc/%i/ns"),
    roots("lxc", "/lxc/%i"),
    roots("incus", "/lxc.payload.%i"),
    roots("lxd", "/lxc.payload.%i"),
    roots("lxd", "/lxc/%i"),
];

/// Returns the cgroup that a container's specification tells, else those of the table.
pub(super) fn cgroups(world: &World<'_>, container: &Container) -> Option<Vec<Vec<u8>>> {
    Some(told(world, container).map_or_else(|| of(world, container), |path| vec![path]))
}

/// Returns the cgroup that a container's specification tells, in its bundle or store.
pub(super) fn told(world: &World<'_>, container: &Container) -> Option<Vec<u8>> {
    for root in container.roots().unwrap_or_default() {
        let config: &[u8] = match root.kind {
            Kind::Bundle => b"/config.json",
            Kind::Userdata => b"/userdata/config.json",
            _ => continue,
        };
        let config = [&root.path[..], b"/", &container.id, config].concat();
        let path = cgroups_path(world, &config, SPEC);
        if path.is_some() {
            return path;
        }
    }
    None
}

/// Returns the cgroup path that a file has at `key`.
pub(super) fn cgroups_path(world: &World<'_>, file: &[u8], key: &str) -> Option<Vec<u8>> {
    let told = strings(world, file, &[key]).concat();
    resolve(world, &told)
}

/// Returns the paths in which the table says that a container may be.
pub(crate) fn of(world: &World<'_>, container: &Container) -> Vec<Vec<u8>> {
    let is_users = world.user_of().is_some();
    let forms = FORMS.iter();
    let forms = forms.filter(|it| it.engine == container.runs_on && it.is_users == is_users);
    let namespace = container.namespace.as_deref();
    forms.filter_map(|form| filled(form.path, &container.id, namespace, &user_top(world))).collect()
}

/// Fills the places of a form; None where what belongs there is not known, or could lead elsewhere.
fn filled(form: &str, id: &[u8], namespace: Option<&[u8]>, user: &[u8]) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(form.len() + id.len());
    let mut parts = form.split('%');
    path.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (value, rest) = match part.as_bytes().split_first()? {
            (b'i', rest) => (id, rest),
            (b'n', rest) => (namespace?, rest),
            (_, rest) => (user, rest),
        };
        path.extend_from_slice(value);
        path.extend_from_slice(rest);
    }
    Some(path)
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
    let parts: Vec<&[u8]> = cgroups_path.split(|byte| *byte == b':').collect();
    let [slice, prefix, name] = parts[..] else { return None };
    let unit = match (name.ends_with(b".slice"), prefix) {
        _ if name.is_empty() || name.contains(&b'/') || prefix.contains(&b'/') => return None,
        (true, _) => name.to_vec(),
        (false, b"") => [name, b".scope"].concat(),
        (false, prefix) => [prefix, b"-", name, b".scope"].concat(),
    };
    let slice = slice_path(if slice.is_empty() { default } else { slice })?;
    Some([top, &slice, b"/", &unit].concat())
}

/// Returns the path of a systemd slice: `a-b.slice` is in `a.slice`. systemd.slice(5).
pub(crate) fn slice_path(slice: &[u8]) -> Option<Vec<u8>> {
    let stem = slice.strip_suffix(b".slice")?;
    if stem == b"-" {
        return Some(Vec::new());
    }
    let mut path = Vec::new();
    for (at, byte) in stem.iter().chain(b"-").enumerate() {
        if *byte == b'/' {
            return None;
        }
        if *byte == b'-' {
            let is_empty = at == 0 || stem[at - 1] == b'-';
            if is_empty {
                return None;
            }
            path.push(b'/');
            path.extend_from_slice(&stem[..at]);
            path.extend_from_slice(b".slice");
        }
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
        let of = |engine: &str| -> Vec<String> {
            let forms = FORMS.iter().filter(|form| form.engine == engine && !form.is_users);
            forms.filter_map(|form| text(filled(form.path, b"ab", Some(b"ns"), b""))).collect()
        };
        assert_eq!(of("docker"), ["/docker/ab", "/system.slice/docker-ab.scope"]);
        assert_eq!(of("podman"), ["/libpod_parent/libpod-ab", "/machine.slice/libpod-ab.scope"]);
        assert_eq!(of("containerd")[0], "/ns/ab");
        assert_eq!(of("lxc"), ["/lxc.payload.ab", "/lxc.payload/ab", "/lxc/ab/ns", "/lxc/ab"]);
        assert_eq!(filled("/%n/%i", b"ab", None, b""), None);
        assert_eq!(text(filled("%u/x-%i", b"ab", None, b"/u")).as_deref(), Some("/u/x-ab"));
        let is_known = |word| super::super::ENGINES.iter().any(|it| it.words.contains(&word));
        assert!(FORMS.iter().all(|form| is_known(form.engine)));
    }
}
