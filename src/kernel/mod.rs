//! What the kernel offers here: network namespaces, rtnetlink, and children that ask from
//! elsewhere.
//!
//! Nothing in this room knows of a host: it is about the namespace we are in, and about
//! descriptors.

#![forbid(unsafe_code)]

mod attribute;
pub(crate) mod cookie;
pub(crate) mod fork;
pub(crate) mod handover;
pub(crate) mod inotify;
pub mod link;
pub mod netns;
pub(crate) mod nsid;
pub mod rtnetlink;
pub mod sock;
