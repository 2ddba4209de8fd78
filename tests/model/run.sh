#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Checks the models exhaustively with spin: of the loop's inbox (inbox.pml), and of what a process
# pool shares with its workers (worker_bell.pml, loop_bell.pml, slots.pml). The protocol must hold in
# every variant, and each planted error (mutant) must be refuted, in the way that is expected of
# it. Prints one line for each check. Exits with 0 if all is as expected, 1 if not, 77 if spin or
# gcc is missing. Takes about a minute on two idle cores, below 2 GB; leaves nothing behind.
#
#   tests/model/run.sh           what CI runs
#   tests/model/run.sh --long    and the largest state spaces: another minute, also below 2 GB
#   tests/model/run.sh --keep    keeps the directory with the verifiers and the error trails

set -u -o pipefail
set -m  # each check in a process group of its own, so that it can be ended with its children

for tool in spin gcc; do
    if ! command -v "$tool" > /dev/null; then
        echo "SKIP: $tool is not installed (Debian package: $tool)"
        exit 77
    fi
done

models=$(cd "$(dirname "$0")" && pwd)
model=inbox    # the one that the next checks are about
must_reach=    # proctypes of it that a check must reach wholly; the inbox has a rule of its own
work=$(mktemp -d)
export TMPDIR=$work/tmp  # for the compiler's own files
mkdir "$TMPDIR"
option=${1-}
clean_up() {
    local group
    for group in $(jobs -rp); do kill -- "-$group"; done 2> /dev/null
    wait 2> /dev/null
    if [[ $option == --keep ]]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Chosen: two at a time stay below 2 GB, and no check takes a fifth of the time on an idle machine.
memory_limit_mb=900
time_limit_s=100
depth_limit=100000

# The lines of a proctype that the search never reached. A variant that proves something about
# steps which cannot happen in it would prove nothing.
unreached() {  # proctype, verifier's output
    awk -v want="unreached in proctype $1" '
        $0 == want { inside = 1; next }
        /^unreached in / { inside = 0 }
        inside && /\.pml:/' "$2"
}

# check NAME KIND EXPECT OPTION...
#   KIND    safety    asserts and deadlocks
#           liveness  an LTL formula under weak fairness, and nothing else
#   EXPECT  holds, or the text of the violation that the verifier must report
check() {
    local name=$1 kind=$2 expect=$3
    shift 3
    local dir=$work/$model-${name//[^a-zA-Z0-9]/_} verdict=unexpected found
    local -a build=(-w -DMEMLIM=$memory_limit_mb -DCOLLAPSE) run=(-m$depth_limit)
    mkdir "$dir" && cd "$dir" || return 1

    if [[ $kind == safety ]]; then
        build+=(-DSAFETY)
    else
        build+=(-DNFAIR=3)
        run+=(-a -f -A -E)
    fi
    # The pool's models compile for longer than they run.
    if [[ $expect != holds ]]; then
        build+=(-O0)
    elif [[ $model == inbox ]]; then
        build+=(-O2)
    else
        build+=(-O1)
    fi

    cp "$models/$model.pml" .
    if ! spin -a "$@" "$model.pml" > spin.log 2>&1 || ! gcc "${build[@]}" -o pan pan.c > gcc.log 2>&1
    then
        found="the model does not compile: $(tail -n 1 spin.log) $(tail -n 1 gcc.log 2> /dev/null)"
    else
        timeout --foreground $time_limit_s ./pan "${run[@]}" > pan.log 2>&1
        found=$(sed -n 's/^pan:1: //p' pan.log | head -n 1)
        if grep -q -e 'Search not completed' -e 'max search depth too small' -e 'out of memory' \
                -e 'VECTORSZ' pan.log && [[ $expect == holds && -z $found ]]; then
            found="the search was cut short"
        elif [[ -z $found ]] && ! grep -q 'errors: 0' pan.log; then
            found="the verifier did not finish"
        fi
        if [[ $expect == holds && -z $found ]]; then
            verdict=ok
            found="holds"
            if [[ $kind == safety ]]; then
                local proctype
                if [[ $model == inbox ]]; then
                    must_reach=loop
                    if [[ " $* " == *" -DCLOSE "* ]]; then must_reach+=" producer"; fi
                fi
                for proctype in $must_reach; do unreached "$proctype" pan.log; done > unreached.log
                if [[ -s unreached.log ]]; then
                    verdict=unexpected
                    found="holds, but never reaches$(head -n 1 unreached.log)"
                fi
            fi
        elif [[ $expect != holds && $found == *"$expect"* ]]; then
            verdict=ok
            found="refuted: ${found%% (at depth*}"
        fi
    fi

    local states seconds
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log 2> /dev/null)
    seconds=$(sed -n 's/^pan: elapsed time \([0-9.e+-]*\) seconds/\1/p' pan.log 2> /dev/null)
    printf '%-10s %-58s %10s states %6s s  %s\n' "$verdict" "$model: $name" "${states:-?}" \
        "${seconds:-?}" "$found"
    echo "$verdict" > verdict
}

# Two at a time, the long ones first.
start() {
    while (($(jobs -rp | wc -l) >= 2)); do wait -n; done
    check "$@" &
}

start "serves 3x2"                             liveness holds -DLTL_SERVED
start "closes 3x2"                             safety holds -DCLOSE
start "closes 3x2, timers, nodes reused"       safety holds -DCLOSE -DTIMERS -DREUSE
start "wakes 3x2, no timer"                    safety holds
start "closes 2x2, timers, poll ends, no ring" safety holds -DPRODUCERS=2 -DCLOSE -DTIMERS \
    -DREARM -DWAIT
start "wakes 3x2, timers, nodes reused"        safety holds -DTIMERS -DREUSE
start "wakes 2x2, timers, poll ends, no ring"  safety holds -DPRODUCERS=2 -DTIMERS -DREARM -DWAIT
start "serves 2x2, timers, closes"             liveness holds -DPRODUCERS=2 -DTIMERS -DCLOSE \
    -DLTL_SERVED
start "serves 2x2, timers, poll ends, no ring" liveness holds -DPRODUCERS=2 -DTIMERS -DREARM \
    -DWAIT -DLTL_SERVED
start "a close ends 2x2"                       liveness holds -DPRODUCERS=2 -DCLOSE -DLTL_ENDS
start "a push returns 2x2, no timer"           liveness holds -DPRODUCERS=2 -DLTL_RETURNS

# A limit of the protocol that is known and accepted: see the end of inbox.pml.
start "a push returns 2x2, timers (known limit)" liveness "acceptance cycle" -DPRODUCERS=2 \
    -DTIMERS -DLTL_RETURNS

mutant() {  # number, what is wrong, the violation, further options
    local number=$1 name="mutant $1: $2" expect=$3
    shift 3
    start "$name" safety "$expect" -DPRODUCERS=2 -DMUTANT="$number" "$@"
}
closing=(-DCLOSE -DTIMERS -DOUTCOME_ONLY)
mutant 1 "no write after replacing ASLEEP"     "!(lost_wakeup)"
mutant 2 "ASLEEP stored blindly"               "!(lost_node)"
mutant 3 "a write on every push"               "(written<tickets)"
mutant 4 "close does not wait for the debt"    "!(fd_closed)" "${closing[@]}"
mutant 5 "a flag beside the queue"             "!(lost_wakeup)"
mutant 6 "reaps between ASLEEP and the wait"   "!(lost_wakeup)"
mutant 7 "an ended poll is not armed again"    "!(lost_wakeup)" -DREARM
mutant 8 "owed counts wake completions"        "!(fd_closed)" "${closing[@]}"
mutant 9 "owed counts every sleep"             "!(close_stuck)" "${closing[@]}"
mutant 10 "close does not settle the sleep"    "!(fd_closed)" "${closing[@]}"
mutant 11 "a stranger writes the eventfd"      "!(fd_closed)" "${closing[@]}"
mutant 12 "next read after processing"         "!(lost_node)" -DREUSE
mutant 13 "close owes for any list"            "!(close_stuck)" "${closing[@]}"
mutant 14 "sleeps twice without an exchange"   "||slept" "${closing[@]}"
for number in 1 6; do
    start "mutant $number, by liveness" liveness "acceptance cycle" -DPRODUCERS=2 \
        -DMUTANT=$number -DLTL_SERVED
done

model=worker_bell
must_reach="program worker"
start "wakes 4, store buffers"                 safety holds -DCALLS=4 -DBUFFERS
start "wakes 4, store buffers, signals"        safety holds -DCALLS=4 -DBUFFERS -DSPURIOUS
start "wakes 4"                                safety holds -DCALLS=4 -DSPURIOUS
start "takes 3, store buffers"                 liveness holds -DBUFFERS -DLTL_TAKEN

mutant() {
    local number=$1 name="mutant $1: $2" expect=$3
    shift 3
    start "$name" safety "$expect" -DMUTANT="$number" "$@"
}
mutant 1 "looks before it says that it sleeps" "!(deaf)"
mutant 2 "publish without its fence"           "!(lost_call)" -DBUFFERS
mutant 3 "sleep without its fence"             "!(deaf)" -DBUFFERS
mutant 4 "queued after ringing"                "!(lost_call)"
mutant 5 "retire without its fence"            "!(deaf)" -DBUFFERS
mutant 6 "clears the futex and does not wake"  "!(lost_call)"
mutant 7 "rings before it says retire"         "!(deaf)"
mutant 8 "retire not looked at in the sleep"   "!(deaf)"

model=loop_bell
must_reach="worker loop"
start "settles 2x2"                            safety holds
start "settles 2x2, store buffers"             safety holds -DBUFFERS
must_reach="worker loop manager"
start "settles 2x1, a death, store buffers"    safety holds -DCALLS=1 -DDEATHS=1 -DBUFFERS
start "settles 1x3, a death, store buffers"    safety holds -DWORKERS=1 -DCALLS=3 -DDEATHS=1 \
    -DBUFFERS
start "hands over 2x1, unawaited, buffers"     safety holds -DCALLS=1 -DHANDOVER -DUNAWAITED -DBUFFERS
start "hands over 1x2, a death, buffers"       safety holds -DWORKERS=1 -DHANDOVER -DDEATHS=1 -DBUFFERS
start "settles 1x2, a death, store buffers"    liveness holds -DWORKERS=1 -DDEATHS=1 -DBUFFERS \
    -DLTL_SETTLED
one=(-DWORKERS=1 -DCALLS=2)
mutant 1 "announce without its fence"          "!(unread)" -DBUFFERS "${one[@]}"
mutant 2 "fall_asleep without its fence"       "!(unread)" -DBUFFERS "${one[@]}"
mutant 3 "arms after the last look"            "!(unread)" "${one[@]}"
mutant 4 "looks at armed before the tail"      "!(unread)" "${one[@]}"
mutant 5 "rings for each completion"           "(tickets[w]>0)" "${one[@]}"
mutant 6 "reaps between arming and the wait"   "!(unread)" "${one[@]}"
mutant 7 "burial without the lock"             "(settled[c]==0)" -DDEATHS=1 "${one[@]}"
mutant 8 "burial settles done as crashed"      "(found[c]==1)" -DDEATHS=1 "${one[@]}"
mutant 9 "burial leaves done to the bell"      "!(unread)" -DDEATHS=1 "${one[@]}"
mutant 10 "manager keeps a loop's ring"        "!(unread)" -DHANDOVER "${one[@]}"

model=slots
must_reach="worker collector"
start "cancelled"                              safety holds
start "cancelled, stolen"                      safety holds -DSTEALS=1
start "cancelled, stolen, endless"             safety holds -DSTEALS=1 -DENDLESS
start "cancelled, killed later, stolen"        safety holds -DSTEALS=1 -DGRACE
start "future cancelled, stolen"               safety holds -DSTEALS=1 -DFUTURE
must_reach="dispatcher worker collector manager canceller"
start "cancelled, a crash"                     safety holds -DCRASHES=1
must_reach="dispatcher worker collector"
start "cancelled, a crash, endless"            safety holds -DCRASHES=1 -DENDLESS
start "future cancelled, a crash"              safety holds -DCRASHES=1 -DFUTURE
must_reach="worker collector"
start "buried before it is dead"               safety holds -DCRASHES=1 -DLATE -DUNCANCELLED
mutant 1 "begins by a plain store"             "!(begun[content[p]])" -DSTEALS=1
mutant 2 "done by a plain store"               "!(signalled[w])"
mutant 3 "recall by a plain store"             "!(stuck)" -DSTEALS=1
mutant 4 "kill without compare-and-swap"       "!(signalled[w])"
mutant 5 "pin waited for with the lock"        "!(stuck)" -DSTEALS=1
mutant 6 "kill without a look"                 "!(signalled[w])"
mutant 7 "burial without the lock"             "!(stuck)" -DCRASHES=1
mutant 8 "queued after its submission"         "!(stuck)"
mutant 9 "begin_settling without the claim"    "(completed[n]==0)" -DFUTURE
mutant 10 "burial settles done as crashed"     "!(landed[n])" -DCRASHES=1
mutant 11 "cancel lost in a burial"            "!(accepted[content[p]])" -DCRASHES=1
mutant 12 "cancel gives up as a call moves"    "(phase[0]==6)" -DSTEALS=1
mutant 13 "burial looks and does not claim"    "!(landed[n])" -DLATE -DUNCANCELLED
mutant 14 "handed to a worker that is buried"  "!(stuck)" -DCRASHES=1
wait

if [[ $option == --long ]]; then
    memory_limit_mb=1900
    check "wakes 3x2, timers"                  safety holds -DTIMERS
    check "closes 3x2, timers"                 safety holds -DCLOSE -DTIMERS
fi

total=$(find "$work" -mindepth 1 -maxdepth 1 -type d ! -name tmp | wc -l)
good=$(cat "$work"/*/verdict 2> /dev/null | grep -c '^ok$')
echo "$good of $total checks are as expected"
((total > 0 && good == total))
