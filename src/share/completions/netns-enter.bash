# bash completion of netns-enter: options, live containers and pins, then COMMAND's own.
#
# Names are other people's bytes: they are compared and quoted, and never expanded, as compgen -W would.

# What the pattern $2 finds in the list of namespaces, one a line. A quote inside a JSON string has a backslash before it, so a
# pattern with quotes around words matches no part of a string.
_netns_enter_list() {
    "$1" --list --json --quiet 2>/dev/null </dev/null | grep -oE "$2"
}

# Containers as ENGINE:NAME, not those that another user claims; names that JSON has to escape are left out.
_netns_enter_containers() {
    _netns_enter_list "$1" '"engine": *"[^"\\]*", *"name": *"[^"\\]*", *"id": *"[^"\\]*", *"pid": *[0-9]*[^0-9}]*[}]' |
        sed -E 's/^"engine": *"([^"]*)", *"name": *"([^"]*)".*$/\1:\2/'
}

# Adds those words after the first that begin with it.
_netns_enter_add() {
    local begin=$1 word
    shift
    for word; do
        [[ $word == "$begin"* ]] && COMPREPLY+=("$(printf %q "$word")")
    done
}

_netns_enter_add_containers() {
    local line names=()
    while IFS= read -r line; do
        names+=("${line#*:}")
        [[ $1 == *:* ]] && names+=("$line")
    done < <(_netns_enter_containers "$2")
    _netns_enter_add "$1" "${names[@]}"
}

# Adds the names in the directory $2.
_netns_enter_add_entries() {
    local path
    for path in "$2"/*; do
        [[ -e $path || -L $path ]] && _netns_enter_add "$1" "${path##*/}"
    done
}

_netns_enter_add_files() {
    local path
    compopt -o filenames 2>/dev/null
    while IFS= read -r path; do COMPREPLY+=("$path"); done < <(compgen -f -- "$1")
}

# The value of the option $1, which begins with $2; $3 is netns-enter.
_netns_enter_value() {
    local path word
    case $1 in
        --pid | --target | -p | -t)
            for path in /proc/[0-9]*; do _netns_enter_add "$2" "${path##*/}"; done ;;
        --container | -c) _netns_enter_add_containers "$2" "$3" ;;
        --netns | -n) _netns_enter_add_entries "$2" /run/netns ;;
        --inode | -i)
            while read -r word; do _netns_enter_add "$2" "${word##*[!0-9]}"; done < <(_netns_enter_list "$3" '\{"inode": *[0-9]+') ;;
        --addr | -a)
            while read -r word; do
                word=${word#\"}
                _netns_enter_add "$2" "${word%/*}"
            done < <(_netns_enter_list "$3" '"[0-9a-f.:]+/[0-9]+"') ;;
        --veth) _netns_enter_add_entries "$2" /sys/class/net ;;
        --file | --state | --cgroup | --host-root | -f | -s | -g) _netns_enter_add_files "$2" ;;
    esac
}

_netns_enter() {
    local options='--pid --target --container --netns --file --state --cgroup --inode --addr --veth
        --pin --pin-all --unpin --wait --list --json --tree --deep --all --sys --dns --host-root --quiet --verbose --help --version'
    local of_target='pid|target|container|netns|file|state|cgroup|inode|addr|veth'
    local words=() starts=() rest=$COMP_LINE i word

    # Bash parts words at : and =, which are part of ours.
    for i in "${!COMP_WORDS[@]}"; do
        word=${COMP_WORDS[i]}
        if ((i > 0)) && [[ -n $word && $rest == "$word"* ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
            starts+=("$i")
        fi
        ((i == COMP_CWORD)) && break
        rest=${rest#*"$word"}
    done

    # What the words before the current one mean; `option` waits for its value.
    local last=$((${#words[@]} - 1)) option='' target='' list='' unpin='' command=''
    for ((i = 1; i < last; i++)); do
        word=${words[i]}
        if [[ -n $option ]]; then
            option=''
        elif [[ $word == -- ]]; then
            [[ -n $unpin ]] || command=$((i + 1))
            break
        elif [[ $word =~ ^--($of_target)$ || $word =~ ^-[qvl]*[ptcnfsgia]$ ]]; then
            option=$word target=1
        elif [[ $word == --pin || $word == --host-root ]]; then
            option=$word
        elif [[ $word =~ ^--($of_target)= || $word =~ ^-[qvl]*[ptcnfsgia] || $word == --all ]]; then
            target=1
        elif [[ $word == --unpin ]]; then
            unpin=1
        elif [[ $word == --list || $word =~ ^-[qv]*l ]]; then
            list=1
        elif [[ $word != -* && -n $target ]]; then
            command=$i
            break
        elif [[ $word != -* ]]; then
            target=1
        fi
    done
    local cur=${words[last]} self=${words[0]}
    [[ -n $command || -n $option || -n $unpin || -n $list || -z $target || $cur == -* ]] || command=$last

    COMPREPLY=()
    if [[ -n $command ]]; then
        if declare -F _command_offset >/dev/null; then
            _command_offset "${starts[command]}"
        elif ((command == last)); then
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -c -- "$cur")
        else
            _netns_enter_add_files "$cur"
        fi
        return
    elif [[ -n $option ]]; then
        # The last of -qvp is the one that takes a value.
        [[ $option == --* ]] || option=-${option: -1}
        _netns_enter_value "$option" "$cur" "$self"
    elif [[ $cur == --*=* ]]; then
        option=${cur%%=*} cur=${cur#*=}
        _netns_enter_value "$option" "$cur" "$self"
    elif [[ $cur == -* ]]; then
        while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$options" -- "$cur")
    elif [[ -n $unpin ]]; then
        _netns_enter_add_entries "$cur" /run/netns
    elif [[ -z $target && $cur == [/.]* ]]; then
        _netns_enter_add_files "$cur"
    elif [[ -z $target ]]; then
        _netns_enter_add_containers "$cur" "$self"
        _netns_enter_add_entries "$cur" /run/netns
    fi

    # What stands before the last colon is another word to bash, and stays.
    if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        local before
        before=$(printf %q "${cur%"${cur##*:}"}")
        for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$before"}; done
    fi
}

complete -F _netns_enter netns-enter
