# fish completion of netns-enter: options, live containers and pins, then COMMAND's own.
# Names are other people's bytes: they are printed, and never evaluated.

# What the pattern finds in the list of namespaces, one a line. A quote inside a JSON string has a backslash before it, so a pattern
# with quotes around words matches no part of a string.
function __netns_enter_list
    netns-enter --list --json --quiet 2>/dev/null </dev/null | string match -ra -- $argv[1]
end

function __netns_enter_containers
    for row in (__netns_enter_list '"engine": *"[^"\\\\]*", *"name": *"[^"\\\\]*", *"id": *"[^"\\\\]*", *"pid": *[0-9]*[^0-9}]*[}]')
        set -l fields (string split '"' -- $row)
        if string match -q '*:*' -- (commandline -ct)
            printf '%s:%s\tcontainer\n' $fields[4] $fields[8]
        else
            printf '%s\t%s\n' $fields[8] $fields[4]
        end
    end
end

function __netns_enter_pins
    for path in /run/netns/*
        printf '%s\tpin\n' (string replace -r '.*/' '' -- $path)
    end
end

function __netns_enter_targets
    if string match -qr '^[/.]' -- (commandline -ct)
        __fish_complete_path (commandline -ct)
    else
        __netns_enter_containers
        __netns_enter_pins
    end
end

# Which part of the line the current word belongs to: target, pins, nothing, or the number of the word that COMMAND begins with.
function __netns_enter_part
    set -l words (commandline -opc)
    set -l part target
    set -l value no
    for i in (seq 2 (count $words))
        set -l word $words[$i]
        if test $value = yes
            set value no
        else if test "$word" = --
            test $part = pins; or set part (math $i + 1)
            break
        else if string match -qr -- '^(--(pid|target|container|netns|file|state|cgroup|inode|addr|veth)|-[qvl]*[ptcnfsgia])$' $word
            set value yes
            set part command
        else if string match -qr -- '^--(pin|host-root)$' $word
            set value yes
        else if string match -qr -- '^(--(pid|target|container|netns|file|state|cgroup|inode|addr|veth)=|-[qvl]*[ptcnfsgia]|--all$)' $word
            set part command
        else if test "$word" = --unpin
            set part pins
        else if string match -qr -- '^(--list$|--pin-all$)' $word
            test "$word" = --pin-all; and set part nothing
        else if not string match -q -- '-*' $word
            if test $part = command
                set part $i
                break
            else if test $part = target
                set part command
            end
        end
    end
    # The word under the cursor is the first of COMMAND, unless it is an option.
    if test $part = command
        set part (math (count $words) + 1)
    end
    echo $part
end

function __netns_enter_in
    test (__netns_enter_part) = $argv[1]
end

function __netns_enter_in_command
    string match -qr '^[0-9]+$' -- (__netns_enter_part)
    and not begin
        __netns_enter_options
        and string match -q -- '-*' (commandline -ct)
    end
end

# Before COMMAND, and between TARGET and it.
function __netns_enter_options
    set -l part (__netns_enter_part)
    not string match -qr '^[0-9]+$' -- $part; or test $part -gt (count (commandline -opc))
    and not contains -- -- (commandline -opc)
end

# Not by __fish_complete_subcommand, which counts no options when it skips words. What is completed is never run.
function __netns_enter_command
    set -l words (commandline -opc)
    set -l part (__netns_enter_part)
    set -l command
    test $part -gt (count $words); or set command (string escape -- $words[$part..-1])
    complete -C (string join -- ' ' $command (commandline -ct))
end

complete -c netns-enter -f
complete -c netns-enter -n '__netns_enter_in target' -a '(__netns_enter_targets)'
complete -c netns-enter -n '__netns_enter_in pins' -a '(__netns_enter_pins)'
complete -c netns-enter -n __netns_enter_in_command -x -a '(__netns_enter_command)'

complete -c netns-enter -n __netns_enter_options -s p -s t -l pid -l target -x -a '(__fish_complete_pids)' -d 'A process or thread'
complete -c netns-enter -n __netns_enter_options -s c -l container -x -a '(__netns_enter_containers)' -d 'A container or pod'
complete -c netns-enter -n __netns_enter_options -s n -l netns -x -a '(__netns_enter_pins)' -d 'An entry of /run/netns'
complete -c netns-enter -n __netns_enter_options -s f -l file -r -F -d 'Any network namespace file'
complete -c netns-enter -n __netns_enter_options -s s -l state -r -F -d 'State file of an OCI runtime'
complete -c netns-enter -n __netns_enter_options -s g -l cgroup -r -F -d 'The processes of a cgroup or systemd unit'
complete -c netns-enter -n __netns_enter_options -s i -l inode -x -a '(__netns_enter_list "{\"inode\": *[0-9]+" | string match -r "[0-9]+\$")' -d 'Its inode'
complete -c netns-enter -n __netns_enter_options -s a -l addr -x -a '(__netns_enter_list "\"[0-9a-f.:]+/[0-9]+\"" | string match -r "[0-9a-f.:]+")' -d 'Whoever has this address'
complete -c netns-enter -n __netns_enter_options -l veth -x -a '(__fish_print_interfaces)' -d 'The other end of this interface'
complete -c netns-enter -n __netns_enter_options -l pin -x -d 'Keep the namespace under this name'
complete -c netns-enter -n __netns_enter_options -l unpin -d 'Remove pins'
complete -c netns-enter -n __netns_enter_options -l pin-all -d 'Pin every running container'
complete -c netns-enter -n __netns_enter_options -l wait -d 'Wait until TARGET is there and runs'
complete -c netns-enter -n __netns_enter_options -s l -l list -d 'List network namespaces'
complete -c netns-enter -n __netns_enter_options -l json -d 'As JSON'
complete -c netns-enter -n __netns_enter_options -l tree -d 'As a picture of what is linked'
complete -c netns-enter -n __netns_enter_options -l deep -d 'With what only descriptors or sockets hold'
complete -c netns-enter -n __netns_enter_options -l all -d 'Run COMMAND in each'
complete -c netns-enter -n __netns_enter_options -l sys -d 'COMMAND sees its /sys/class/net'
complete -c netns-enter -n __netns_enter_options -l dns -d 'COMMAND resolves names as TARGET does'
complete -c netns-enter -n __netns_enter_options -l host-root -r -F -d 'The host is mounted there'
complete -c netns-enter -n __netns_enter_options -s q -l quiet -d 'No notes'
complete -c netns-enter -n __netns_enter_options -s v -l verbose -d 'Tell how TARGET was found'
complete -c netns-enter -n __netns_enter_options -s h -l help -d 'Print help'
complete -c netns-enter -n __netns_enter_options -s V -l version -d 'Print the version'
