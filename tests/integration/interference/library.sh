# What scripts of the user's may call.

# Field 22 of a process's stat.
start() {
    read -r line </proc/$1/stat
    set -- ${line##*) }
    shift 19
    echo "$1"
}

# quiet COMMAND...: runs it, apart from us, until it is killed; its pid in $pid.
quiet() {
    setsid "$@" </dev/null >/dev/null 2>&1 &
    pid=$!
}

# in_cgroup PATH COMMAND...: as quiet, in a cgroup below the user's own.
in_cgroup() {
    group=$1
    shift
    for top in $tops; do mkdir -p "$top$mine/$group"; done
    setsid sh -c 'for top in $tops; do echo $$ >"$top$mine/$0/cgroup.procs"; done; exec "$@"' "$group" "$@" \
        </dev/null >/dev/null 2>&1 &
    pid=$!
    # Until it is there.
    tries=0
    for top in $tops; do
        until grep -qs "^$pid\$" "$top$mine/$group/cgroup.procs" || [ $tries -gt 200 ]; do
            tries=$((tries + 1))
            sleep 0.005
        done
    done
}

# The kinds of processes that may be said to be a container, or be in its cgroup: $1 is called with each
# as its last words. own: in namespaces of its own; first: pid 1, too; hosts: in the host's; su and the
# like: programs that run as root; many; stopped.
occupant() {
    kind=$1
    shift
    case $kind in
    own) "$@" unshare -Urn sleep 100000 ;;
    first) "$@" unshare -Urpf --kill-child unshare -n sleep 100000 ;;
    firstn) "$@" unshare -Urnpf --kill-child sleep 100000 ;;
    hosts) "$@" sleep 100000 ;;
    su) "$@" sh -c 'sleep 100000 | exec su root -c true' ;;
    mount) "$@" sh -c '(head -c 65536 /dev/zero; exec mount) | sleep 100000' ;;
    passwd) "$@" sh -c 'sleep 100000 | exec passwd' ;;
    ping) "$@" ping -q -i 1000 127.0.0.1 ;;
    many) "$@" sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do unshare -Urn sleep 100000 & done; wait' ;;
    stopped) "$@" sh -c 'unshare -Urn sh -c "kill -STOP \$\$"; wait' ;;
    zombie) "$@" sh -c 'sleep 0 & exec sleep 100000' ;;
    threads) "$@" perl -e 'exec {"/bin/sleep"} "a) S 1 (b\n0::/docker/x", 100000' ;;
    esac
}

# Not written in place: something else may be there, to which nobody ends to write.
json() { printf "$@" >"$file.$$"; mv -f "$file.$$" "$file"; }

# Claims that process $3 is container $2; $1 is the directory of the runtime.
crun() { mkdir -p "$1/$2"; file=$1/$2/status; json '{"pid":%s,"process-start-time":%s}' $3 "$(start $3)"; }
runc() {
    mkdir -p "$1/$2"; file=$1/$2/state.json
    json '{"id":"%s","init_process_pid":%s,"init_process_start":%s,"config":{"namespaces":[]}}' "$2" $3 "$(start $3)"
}
youki() {
    mkdir -p "$1/$2"; file=$1/$2/state.json
    json '{"ociVersion":"1.0.2","id":"%s","status":"running","pid":%s}' "$2" $3
}
# config DATA ID NAME PID
config() {
    mkdir -p "$1/containers/$2"; file=$1/containers/$2/config.v2.json
    json '{"State":{"Running":true,"Pid":%s},"ID":"%s","Name":"/%s"}' $4 "$2" "$3"
}
# store DIR LIST ID NAME PID
store() {
    mkdir -p "$1/overlay-containers/$3/userdata"; file=$1/overlay-containers/$2
    json '[{"id":"%s","names":["%s","%s"]}]' "$3" "$4" "$3"
    file=$1/overlay-containers/$3/userdata/state.json
    json '{"id":"%s","status":"running","pid":%s,"initPid":%s,"initStartTime":"%s"}' "$3" $5 $5 "$(start $5)"
    file=$1/overlay-containers/$3/userdata/pidfile; json %s $5
}
# bundle RUN NAMESPACE ID POD PODNAMESPACE PID
bundle() {
    dir=$1/io.containerd.runtime.v2.task/$2/$3
    mkdir -p "$dir"; file=$dir/config.json; key=io.kubernetes.cri
    json '{"annotations":{"%s.container-type":"sandbox","%s.sandbox-id":"%s","%s.sandbox-name":"%s","%s.sandbox-namespace":"%s"}}' \
        $key $key "$3" $key "$4" $key "$5"
    echo '{}' >"$dir/options.json"
    echo $6 >"$dir/init.pid"
    runc "$1/runc/$2" "$3" $6
}
