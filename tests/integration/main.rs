//! Tests of the whole program on real processes, namespaces and engines. All of them need root;
//! what else one needs and does not find, it skips by name.

#![forbid(unsafe_code)]

// What the tests share.
mod chance; // dice and seeds of the tests that search
mod engines; // real engines, one starter each, with containers that go away with it
mod machine; // a machine of its own for a script: its pids, mounts and network alone
mod stage; // the suite leaves the machine alone
mod util; // the binary under test, its runs, throwaway processes, directories and namespaces

// What the program does.
mod all; // --all and --pin-all
mod deep; // --list --deep and --inode, by all that keeps a namespace
mod elsewhere; // pins in other mount namespaces, hidden, stacked or locked
mod field; // what went wrong on real machines, row by row
mod list; // --list, beside ip and lsns
mod live; // by every name of a real engine's container into its namespace
mod mission; // copied to a host by a user with little rights; packets captured
mod net; // --addr and --veth
mod outlive; // pins that outlive containers of real engines
mod pins; // --pin and --unpin beside ip netns, killed anywhere, many at once
mod prepared; // pods and networks in which nothing runs
mod status; // exit statuses, and the sense of messages
mod tree; // --list --tree and the links of --list --json, beside ip
mod trees; // engines that cannot run here, by their files below a --host-root
mod unprivileged; // rootless namespaces, their owners and strangers
mod views; // --sys and --dns
mod vrf; // a caller in a VRF leaves it
mod wait; // --wait

// What must not happen.
mod below; // another namespace, or none, by --host-root below a container's root
mod churn; // another namespace than that of a container that comes and goes
mod faults; // every system call refused, one at a time
mod interference; // another answer to root because of what a user or a container's root adds
mod transparency; // COMMAND can tell that netns-enter was there
mod wrong; // another namespace than the one that was named

// What is shipped.
mod binary; // size, hardening and system calls; the manual's truth
mod boot; // a real kernel with the binary in its initramfs
mod completions; // bash, zsh and fish themselves
mod corpora; // the fuzzer's committed inputs
mod dist; // release archives, reproducible and complete
mod house; // how the source is laid out
