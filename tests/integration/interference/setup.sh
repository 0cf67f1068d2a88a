# The machine of interference.rs: root's containers of every engine that is here, and the files of those
# that cannot be, in /run, /var/lib, /var/log and /etc of its own. $P is the prefix of all names and $R a
# directory of root's. On descriptor 3 a row for each container:
# row|ENGINE|NAME|ID|STATE|PID|CGROUP|STATE FILE|MORE WORDS
# and `lacks|REASON` where there is none. Each part is a function, run by itself.

bb=$(command -v busybox)
hierarchies() {
    if [ -e /sys/fs/cgroup/cgroup.procs ]; then echo /sys/fs/cgroup; return; fi
    for dir in pids systemd freezer unified; do
        if [ -e /sys/fs/cgroup/$dir/cgroup.procs ]; then echo /sys/fs/cgroup/$dir; fi
    done
}

# cgroup PATH PID: moves a process to a cgroup, in each hierarchy.
cgroup() {
    for top in $(hierarchies); do
        mkdir -p "$top$1"
        echo "$2" >"$top$1/cgroup.procs"
    done
}

# The cgroup of process $1.
cgroup_of() {
    line=$(grep -m 1 -e :pids: /proc/$1/cgroup || grep -m 1 '^0::' /proc/$1/cgroup)
    echo "${line#*:*:}"
}

row() { echo "row|$1|$2|$3|$4|$5|$6|$7|$8" >&3; }
# running ENGINE NAME ID PID [STATE FILE [WORDS]]
running() { row "$1" "$2" "$3" running "$4" "$(cgroup_of "$4")" "${5-}" "${6-}"; }

# With digits in the middle by which what is left of it is known.
id() { echo "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')$TAG$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')"; }
# Field 22 of its stat.
start() {
    read -r line </proc/$1/stat
    set -- ${line##*) }
    shift 19
    echo "$1"
}

# A process asleep in a network namespace of its own; its pid in $pid.
ns() {
    unshare -n sleep 100000 </dev/null >/dev/null 2>&1 3>&- &
    pid=$!
    asleep
}
# One that is pid 1 of a pid namespace, too, and whose parent is in neither and names it: as a shim does
# the ID $1, or as LXC's monitor, as which $1 begins, in its title.
first() {
    unshare=$(command -v unshare) keeper=/usr/bin/containerd-shim-runc-v2
    case $1 in '[lxc monitor] '*) keeper=$1 ;; esac
    perl -e '$program = shift; exec {$program} @ARGV' "$unshare" "$keeper" --pid --fork --kill-child env -u "$1" \
        unshare --net sleep 100000 </dev/null >/dev/null 2>&1 3>&- &
    outer=$!
    pid=
    until [ -n "$pid" ]; do read -r pid _ </proc/$outer/task/$outer/children || sleep 0.01; done
    asleep
}
asleep() { until [ "$(cat /proc/$pid/comm)" = sleep ]; do sleep 0.01; done; }
# A pid that nobody has any more.
dead() {
    sleep 0 3>&- &
    pid=$!
    wait $pid
}

# root DIR: a root directory with busybox.
root() {
    mkdir -p $1/bin $1/proc $1/sys $1/dev $1/etc $1/tmp $1/var/run $1/todo $1/cg $1/cgp
    cp "$bb" $1/bin/busybox
    for applet in sh sleep true mount umount mkdir rmdir unshare cat ln rm mv chmod ls grep setsid usleep; do
        ln -s busybox $1/bin/$applet
    done
}

# todo NAME: what the first process of a container does whose root acts: what it is told.
todo() {
    mkdir -p $R/todo/$1
    mkfifo $R/todo/$1/in
    cat >$R/todo/$1/init <<'END'
cd /todo
exec 0<>in
while read -r n; do
    (set -e; . ./go.$n) >out.$n 2>&1 </dev/null
    echo $? >done.new
    mv done.new done.$n
done
END
}

part_docker() {
    dockerd --containerd /run/containerd/containerd.sock --iptables=false --ip6tables=false --bridge=none \
        --storage-driver=vfs --cgroup-parent /$P/docker >$R/dockerd.log 2>&1 3>&- &
    tries=0
    until docker version >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 $!; then
            echo "lacks|dockerd does not start: $(tail -n 2 $R/dockerd.log | tr '\n' ' ')" >&3
            return
        fi
        sleep 0.1
    done
    tar -C $R/root -cf - . | docker import - ne-if:latest >/dev/null
    mkdir $R/agent $R/agent/usr $R/agent/proc $R/agent/todo $R/agent/tmp
    for dir in bin sbin lib lib64; do ln -s usr/$dir $R/agent/$dir; done
    tar -C $R/agent -cf - . | docker import - ne-if-agent:latest >/dev/null
    made() {
        name=$P-$1 how=$2
        shift 2
        id=$(docker run -d --network none --name $name "$@")
        pid=$(docker inspect -f '{{.State.Pid}}' $name)
        state=/run/docker/runtime-runc/moby/$id/state.json
        row docker $name $id $how $pid "$(cgroup_of $pid)" $state "/$name docker://$id"
    }
    made web running ne-if /bin/sleep 100000
    made paused running ne-if /bin/sleep 100000
    docker pause $P-paused >/dev/null
    todo act
    made act acting --volume $R/todo/act:/todo ne-if /bin/sh /todo/init
    todo priv
    # As privileged as it takes; not every machine has all capabilities to give.
    made priv acting --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined --volume $R/todo/priv:/todo ne-if /bin/sh /todo/init
    # As agents that watch a machine are run.
    todo watch
    if [ "$(readlink /bin)" = usr/bin ]; then
        made watch acting --pid host --volume $R/todo/watch:/todo --volume /usr:/usr:ro \
            ne-if-agent /bin/sh /todo/init
    fi
    id=$(docker run -d --network none --name $P-stopped ne-if /bin/sleep 100000)
    docker kill $P-stopped >/dev/null
    row docker $P-stopped $id stopped "" "" "" "/$P-stopped docker://$id"
    id=$(docker create --network none --name $P-created ne-if /bin/sleep 100000)
    row docker $P-created $id stopped "" "" "" ""
}

part_ctr() {
    for what in ctr ctrx; do
        ctr -n $P run -d --rootfs --cgroup /$P/$P-$what $R/root $P-$what /bin/sleep 100000
        pid=$(ctr -n $P task ls | awk -v id=$P-$what '$1 == id { print $2 }')
        file=/run/containerd/runc/$P/$P-$what/state.json
        if [ $what = ctr ]; then
            running containerd $P-$what $P-$what $pid $file containerd://$P-$what
        else
            # The task's files stay until somebody deletes it.
            ctr -n $P task kill -s 9 $P-$what
            row containerd $P-$what $P-$what stopped $pid "" $file ""
        fi
    done
}

part_podman() {
    podman() { command podman --runtime runc --cgroup-manager cgroupfs "$@" 3>&-; }
    tar -C $R/root -cf - . | podman import - localhost/ne-if:latest >/dev/null
    for what in pod podx; do
        # A machine whose limits may not be raised needs them said.
        id=$(podman run -d --network none --name $P-$what --cgroup-parent /$P/podman \
            --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 localhost/ne-if:latest /bin/sleep 100000)
        if [ $what = pod ]; then
            running podman $P-$what $id "$(podman inspect -f '{{.State.Pid}}' $P-$what)" /run/runc/$id/state.json
        else
            podman stop -t 0 $P-$what >/dev/null
            row podman $P-$what $id stopped "" "" "" ""
        fi
    done
}

# bundle DIR RUNTIME
bundle() {
    mkdir -p $1
    (cd $1 && $2 spec)
    sed -i -e 's/"terminal": true/"terminal": false/' -e 's/"sh"/"\/bin\/sleep", "100000"/' \
        -e "s|\"rootfs\"|\"$R/root\"|" $1/config.json
}

part_runc() {
    bundle $R/runc runc
    for what in runc runcx; do
        runc run -d --bundle $R/runc --pid-file $R/pid $P-$what </dev/null >/dev/null 2>&1 3>&-
        pid=$(cat $R/pid) file=/run/runc/$P-$what/state.json
        if [ $what = runc ]; then
            running runc $P-$what $P-$what $pid $file
        else
            runc kill $P-$what KILL
            row runc $P-$what $P-$what stopped $pid "" $file ""
        fi
    done
}

# crun refuses hybrid cgroups, so it sees unified ones alone.
part_crun() {
    bundle $R/crun crun
    for what in crun crunx; do
        unshare -m --propagation private sh -c 'mount -t cgroup2 none /sys/fs/cgroup && exec \
            crun --cgroup-manager=disabled run -d --bundle "$1" --pid-file "$2" "$3"' sh \
            $R/crun $R/crun.pid $P-$what </dev/null >/dev/null 2>&1 3>&-
        pid=$(cat $R/crun.pid) file=/run/crun/$P-$what/status
        if [ $what = crun ]; then
            running crun $P-$what $P-$what $pid $file
        else
            kill -9 $pid
            row crun $P-$what $P-$what stopped $pid "" $file ""
        fi
    done
}

# lxc NAME ROOT INIT MORE
lxc() {
    mkdir -p /var/lib/lxc/$1
    printf 'lxc.uts.name = a\nlxc.rootfs.path = dir:%s\nlxc.net.0.type = empty\nlxc.init.cmd = %s\n%b' \
        "$2" "$3" "$4" >/var/lib/lxc/$1/config
    lxc-start -n $1 -d </dev/null >/dev/null 2>$R/lxc.log 3>&- ||
        { echo "lacks|LXC does not start $1: $(tail -n 1 $R/lxc.log)" >&3; return 1; }
    pid=$(lxc-info -n $1 -p -H)
}

part_lxc() {
    lxc $P-lx $R/root '/bin/sleep 100000' '' && running lxc $P-lx $P-lx $pid
    lxc $P-lxx $R/root '/bin/sleep 100000' '' && lxc-stop -k -n $P-lxx && row lxc $P-lxx $P-lxx stopped "" "" "" ""
    # As Proxmox VE has them.
    lxc $P-pve $R/root '/bin/sleep 100000' "lxc.cgroup.dir.monitor = $P/monitor\n\
lxc.cgroup.dir.container = $P/lxc\nlxc.cgroup.dir.container.inner = ns\n" && running lxc $P-pve $P-pve $pid
    # Those whose root acts: a privileged one, one that is called like a slice, one with mapped IDs.
    for what in lxa lxs.slice lxu; do
        todo $what
        more="lxc.mount.entry = $R/todo/$what todo none bind 0 0\n"
        root $R/$what
        if [ $what = lxu ]; then
            more="$more""lxc.idmap = u 0 200000 65536\nlxc.idmap = g 0 200000 65536\n"
            chown -R 200000:200000 $R/$what $R/todo/$what
        fi
        lxc $P-$what $R/$what '/bin/sh /todo/init' "$more" || continue
        row lxc $P-$what $P-$what acting $pid "$(cgroup_of $pid)" "" ""
    done
}

# record DIR ID PID: as runc does.
record() {
    mkdir -p $1/$2
    printf '{"id":"%s","init_process_pid":%s,"init_process_start":%s,"config":{"namespaces":[{"type":"NEWNET","path":""}]}}' \
        $2 $3 "$(start $3)" >$1/$2/state.json
}

# Engines that cannot run here, by what they leave on disk.
part_files() {
    # docker without a record, by its cgroup; one that is stopped, one of another driver.
    for what in dcg dcgs dcgx; do
        id=$(id)
        mkdir -p /var/lib/docker/containers/$id
        printf '{"ID":"%s","Name":"/%s"}' $id $P-$what >/var/lib/docker/containers/$id/config.v2.json
        case $what in
        dcg) first $id; cgroup /docker/$id $pid; running docker $P-$what $id $pid ;;
        dcgs) first $id; cgroup /system.slice/docker-$id.scope $pid; running docker $P-$what $id $pid ;;
        *) row docker $P-$what $id stopped "" "" "" "" ;;
        esac
    done
    # nerdctl.
    id=$(id); ns
    mkdir -p /var/lib/nerdctl/1935db59/names/default /run/containerd/io.containerd.runtime.v2.task/default/$id
    printf %s $id >/var/lib/nerdctl/1935db59/names/default/$P-nerd
    echo '{}' >/run/containerd/io.containerd.runtime.v2.task/default/$id/options.json
    record /run/containerd/runc/default $id $pid
    running nerdctl $P-nerd $id $pid /run/containerd/runc/default/$id/state.json
    # A pod of containerd's, of k3s, and one that ran.
    for what in cart k3s job; do
        id=$(id); ns
        case $what in k3s) run=/run/k3s/containerd ;; *) run=/run/containerd ;; esac
        dir=$run/io.containerd.runtime.v2.task/k8s.io/$id
        mkdir -p $dir
        key=io.kubernetes.cri
        printf '{"annotations":{"%s.container-type":"sandbox","%s.sandbox-id":"%s","%s.sandbox-name":"%s","%s.sandbox-namespace":"shop"}}' \
            $key $key $id $key $P-$what $key >$dir/config.json
        echo '{}' >$dir/options.json
        echo $pid >$dir/init.pid
        record /run/containerd/runc/k8s.io $id $pid
        file=/run/containerd/runc/k8s.io/$id/state.json
        if [ $what = job ]; then
            kill $pid; wait $pid || :
            row k8s shop/$P-$what $id stopped $pid "" $file $P-$what
        else
            running k8s shop/$P-$what $id $pid $file "$P-$what k8s://shop/$P-$what containerd:$id pod/$P-$what"
        fi
    done
    # By the links of a kubelet.
    id=$(id); ns
    mkdir -p /var/log/containers /run/containerd/io.containerd.runtime.v2.task/k8s.io/$id
    ln -s /var/log/pods/shop_x/app/0.log /var/log/containers/$P-log_shop_app-$id.log
    echo '{}' >/run/containerd/io.containerd.runtime.v2.task/k8s.io/$id/options.json
    record /run/containerd/runc/k8s.io $id $pid
    running k8s shop/$P-log/app $id $pid "" "shop/$P-log $P-log"
    # CRI-O, and podman's containers in a pod, in a store of their own.
    store=/run/containers/storage
    mkdir -p $store/vfs-containers
    id=$(id); ns
    key=io.kubernetes
    mkdir -p $store/vfs-containers/$id/userdata
    printf '{"annotations":{"%s.cri-o.Name":"k8s_app_%s_shop_0a1b_0","%s.cri-o.ContainerType":"container","%s.cri-o.SandboxID":"%s","%s.pod.name":"%s","%s.pod.namespace":"shop","%s.container.name":"app"}}' \
        $key $P-crio $key $key $(id) $key $P-crio $key $key >$store/vfs-containers/$id/userdata/config.json
    printf '{"id":"%s","status":"running","pid":%s,"initPid":%s,"initStartTime":"%s"}' $id $pid $pid $(start $pid) \
        >$store/vfs-containers/$id/userdata/state.json
    list="{\"id\":\"$id\",\"names\":[\"k8s_app_${P}-crio_shop_0a1b_0\"]}"
    running k8s shop/$P-crio/app $id $pid "" "$P-crio cri-o://$id"
    pod=$(id) id=$(id)
    first $id; cgroup /$P/podman/$pod/libpod-$id $pid
    mkdir -p $store/vfs-containers/$id/userdata
    printf '{"linux":{"cgroupsPath":"/%s/podman/%s/libpod-%s"}}' $P $pod $id >$store/vfs-containers/$id/userdata/config.json
    printf '[%s,{"id":"%s","names":["%s"]}]' "$list" $id $P-member >$store/vfs-containers/containers.json
    running podman $P-member $id $pid "" $pod
    # youki: one by its cgroup, one that has ended.
    for what in youki youkix; do
        case $what in youki) ns; cgroup /system.slice/youki-$P-$what.scope $pid ;; *) dead ;; esac
        mkdir -p /run/youki/$P-$what
        printf '{"ociVersion":"1.0.2","id":"%s","status":"running","pid":%s}' $P-$what $pid >/run/youki/$P-$what/state.json
        printf '{"cgroup_path":":youki:%s"}' $P-$what >/run/youki/$P-$what/youki_config.json
        case $what in
        youki) running youki $P-$what $P-$what $pid ;;
        *) row youki $P-$what $P-$what stopped $pid "" "" "" ;;
        esac
    done
    # gVisor.
    id=$(id); ns
    cgroup /$P/$id $pid
    mkdir -p /run/containerd/runsc/k8s.io
    printf '{"id":"%s","spec":{"linux":{"cgroupsPath":"/%s/%s"}},"status":"running","sandbox":{"id":"%s","pid":%s,"cgroup":{"name":"/%s/%s"}}}' \
        $id $P $id $id $pid $P $id >/run/containerd/runsc/k8s.io/${id}_sandbox:$id.state
    running gvisor $id $id $pid
    # machined: one that runs, one that has ended.
    mkdir -p /run/systemd/machines
    for what in mach machx; do
        case $what in mach) ns; cgroup /machine.slice/machine-$P-$what.scope/payload $pid ;; *) dead ;; esac
        printf 'NAME=%s\nSCOPE=machine-%s.scope\nLEADER=%s\nCLASS=container\n' $P-$what $P-$what $pid \
            >/run/systemd/machines/$P-$what
        case $what in
        mach) running machine $P-$what $P-$what $pid ;;
        *) row machine $P-$what $P-$what stopped $pid "" "" "" ;;
        esac
    done
    # One that is called as a user's would be.
    ns; cgroup /machine.slice/machine-$P-at.scope/payload $pid
    printf 'NAME=%s\nSCOPE=machine-%s-at.scope\nLEADER=%s\nCLASS=container\n' $P-web@65533 $P $pid \
        >/run/systemd/machines/$P-web@65533
    running machine $P-web@65533 $P-web@65533 $pid
    # Incus, and one of LXD that is stopped.
    mkdir -p /var/lib/incus/containers/$P-incus /var/lib/lxd/containers/$P-lxd
    first "[lxc monitor] /var/lib/incus/containers $P-incus"; cgroup /lxc.payload.$P-incus $pid
    running incus $P-incus $P-incus $pid
    row lxd $P-lxd $P-lxd stopped "" "" "" ""
}

# Units, and pins.
part_rest() {
    ns; cgroup /system.slice/$P-a.service $pid
    row unit $P-a.service "" unit $pid /system.slice/$P-a.service "" ""
    ns; cgroup /system.slice/system-$P.slice/$P-b@x.service $pid
    row unit $P-b@x.service "" unit $pid /system.slice/system-$P.slice/$P-b@x.service "" ""
    row unit $P-none.service "" nounit "" "" "" ""
    mkdir -p /run/netns
    ip netns add $P-blue
    row pin $P-blue "" pin "" "" "" ""
    # Of a container that is stopped, and of one that runs.
    ip netns add $P-dcgx
    row pin $P-dcgx "" pin "" "" "" ""
    ns
    ln -s /proc/$pid/ns/net /run/netns/$P-link
    row pin $P-link "" pin "" "" "" ""
    dead
    ln -s /proc/$pid/ns/net /run/netns/$P-gone
    row pin $P-gone "" pin $pid "" "" ""
    : >/run/netns/$P-empty
    row pin $P-empty "" nopin "" "" "" ""
}
