//! Whose a file or directory is, by its owner and mode.

#![forbid(unsafe_code)]

use super::users::OVERFLOW;
use crate::sys::fd::fd_path;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Stat, Statx, fstat, getxattr};
use rustix::io::{self, Errno};

/// What of a file tells who can write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Type and permissions. With an ACL the group's bits are the mask of all that it adds.
    pub(crate) mode: u32,
    /// Whether there is an ACL, which matters only where the group's bits let somebody write.
    pub(crate) has_acl: bool,
}

impl From<&Statx> for Standing {
    fn from(stat: &Statx) -> Standing {
        let mode = stat.stx_mode.into();
        Standing { uid: stat.stx_uid, gid: stat.stx_gid, mode, has_acl: false }
    }
}

impl Standing {
    /// Looks at an open file.
    ///
    /// # Errors
    /// The errno of fstat(2).
    pub(crate) fn of(file: &OwnedFd) -> io::Result<Standing> {
        Ok(Standing::with(file, &fstat(file)?))
    }

    /// Looks at an open file, of which `stat` was asked.
    pub(crate) fn with(file: &OwnedFd, stat: &Stat) -> Standing {
        let (uid, gid, mode) = (stat.st_uid, stat.st_gid, stat.st_mode);
        let plain = Standing { uid, gid, mode, has_acl: false };
        let may_have_one = plain.is_writable_by_group() && plain.kind() != FileType::Symlink;
        Standing { has_acl: may_have_one && has_acl(file), ..plain }
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// Tells whether running it gives rights that its caller does not have.
    pub(crate) fn has_set_id(&self) -> bool {
        self.mode & 0o6000 != 0
    }

    fn is_writable_by_others(&self) -> bool {
        self.mode & 0o002 != 0
    }

    pub(crate) fn is_writable_by_group(&self) -> bool {
        self.mode & 0o020 != 0
    }

    /// Returns who besides `author` can write there.
    pub(crate) fn writers(&self, author: u32) -> String {
        match self {
            Standing { uid, .. } if *uid != author => format!("uid {uid}"),
            _ if self.is_writable_by_others() => "everybody".to_owned(),
            Standing { has_acl: true, .. } => "whom its ACL names".to_owned(),
            Standing { gid, .. } => format!("group {gid}"),
        }
    }
}

/// Tells whether a file has an ACL beside its mode: acl(5).
fn has_acl(file: &OwnedFd) -> bool {
    // A descriptor that is for the path alone has no attributes, but its path has.
    let found = getxattr(fd_path(file), c"system.posix_acl_access", &mut [0_u8; 0][..]);
    !matches!(found, Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS))
}

/// The author of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judge {
    /// The uid that root's files have here: in a user namespace another than 0.
    pub(crate) root_uid: u32,
    /// The user's uid and gid, in a user's world; as they are here, too.
    pub(crate) user: Option<(u32, u32)>,
}

impl Judge {
    /// Tells whether what stands so can be written by nobody but the world's author and root.
    /// Groups of the system, whose gid is below 1000, count as root's, but not that of all users,
    /// 100.
    pub(crate) fn counts(&self, standing: &Standing) -> bool {
        let is_groups = standing.gid < 1000 && standing.gid != 100
            || self.user.is_some_and(|(_, gid)| gid == standing.gid);
        self.is_author(standing.uid)
            && !standing.is_writable_by_others()
            && (!standing.is_writable_by_group() || (is_groups && !standing.has_acl))
    }

    /// Tells whether a directory is a sticky one of the author's or root's, as /tmp is: others may
    /// put things there, but not take away or replace what is not theirs.
    pub(crate) fn is_shared(&self, standing: &Standing) -> bool {
        const STICKY: u32 = 0o1000;
        self.is_author(standing.uid) && standing.mode & STICKY != 0
    }

    /// Tells whether what stands so counts in a shared directory. Where root cannot be told from
    /// others, only what is the user's own does.
    pub(crate) fn counts_in_shared(&self, standing: &Standing) -> bool {
        let is_users = self.user.is_some_and(|(uid, _)| uid == standing.uid);
        is_users || (self.is_author(standing.uid) && !OVERFLOW.contains(&standing.uid))
    }

    /// Tells whether a uid is the author's or root's.
    pub(crate) fn is_author(&self, uid: u32) -> bool {
        uid == self.root_uid || self.user.is_some_and(|(own, _)| own == uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(uid: u32, gid: u32, mode: u32) -> Standing {
        Standing { uid, gid, mode: 0o040_000 | mode, has_acl: false }
    }

    #[test]
    fn roots_is_what_only_root_and_the_systems_groups_can_write() {
        let roots = Judge { root_uid: 0, user: None };
        for (uid, gid, mode) in [(0, 0, 0o755), (0, 5000, 0o755), (0, 999, 0o775), (0, 0, 0o770)] {
            assert!(roots.counts(&standing(uid, gid, mode)), "{uid} {gid} {mode:o}");
        }
        let others = [
            (1000, 0, 0o700),
            (0, 0, 0o757),
            (0, 1000, 0o775),
            (0, 100, 0o775),
            (65534, 0, 0o755),
            (0, 0, 0o1777),
        ];
        for (uid, gid, mode) in others {
            assert!(!roots.counts(&standing(uid, gid, mode)), "{uid} {gid} {mode:o}");
        }
        // Whom an ACL lets write is in no group that has to be known.
        assert!(roots.counts(&Standing { has_acl: true, ..standing(0, 0, 0o755) }));
        assert!(!roots.counts(&Standing { has_acl: true, ..standing(0, 0, 0o775) }));
        assert!(roots.is_shared(&standing(0, 0, 0o1777)));
        assert!(!roots.is_shared(&standing(0, 0, 0o777)));
        assert!(!roots.is_shared(&standing(1000, 0, 0o1777)));
    }

    #[test]
    fn a_users_is_the_users_and_roots() {
        let users = Judge { root_uid: 0, user: Some((1000, 1000)) };
        for (uid, gid, mode) in [(0, 0, 0o755), (1000, 1000, 0o775), (1000, 5, 0o775)] {
            assert!(users.counts(&standing(uid, gid, mode)), "{uid} {gid} {mode:o}");
        }
        for (uid, gid, mode) in [(1001, 1000, 0o700), (1000, 1000, 0o777), (1000, 1001, 0o775)] {
            assert!(!users.counts(&standing(uid, gid, mode)), "{uid} {gid} {mode:o}");
        }
    }

    #[test]
    fn who_cannot_tell_root_from_others_trusts_nobody_in_tmp() {
        let here = Judge { root_uid: OVERFLOW[0], user: Some((0, 0)) };
        assert!(here.counts(&standing(OVERFLOW[0], OVERFLOW[0], 0o755)));
        assert!(here.is_shared(&standing(OVERFLOW[0], OVERFLOW[0], 0o1777)));
        assert!(!here.counts_in_shared(&standing(OVERFLOW[0], OVERFLOW[0], 0o700)));
        assert!(here.counts_in_shared(&standing(0, 0, 0o700)));
    }

    #[test]
    fn who_else_can_write_is_told() {
        let writers = |uid, gid, mode| standing(uid, gid, mode).writers(0);
        assert_eq!(writers(1000, 0, 0o777), "uid 1000");
        assert_eq!(writers(0, 1000, 0o777), "everybody");
        assert_eq!(writers(0, 1000, 0o775), "group 1000");
    }
}
