/* SPDX-License-Identifier: MIT
 *
 * A model of the loop's inbox: the one atomic word by which other threads hand nodes to a loop,
 * the eventfd that wakes it, and the closing of both. tests/model/run.sh checks it with spin.
 *
 * Actors: PRODUCERS producers, each of which pushes PUSHES nodes, and one loop. `head` is
 *
 *     NIL      the loop is awake, the queue is empty        (C++: nullptr)
 *     1..      a list of nodes, newest first                (C++: a node's address)
 *     ASLEEP   the loop is committed to sleeping, the queue is empty   (a private address)
 *     CLOSED   the loop is gone or going, pushes are refused           (a private address)
 *
 * Only the loop stores NIL, ASLEEP and CLOSED; only producers store nodes.
 *
 * How to read it beside the C++. Every step has a label in its comment; what stands in one `atomic`
 * or `d_step` is one atomic operation or one system call there, and every other statement that
 * touches a shared variable is a step of its own, at which any other actor may run.
 *
 *     P1  producer   load head
 *     P2  producer   store node.next (a plain store; the node is still private)
 *     P3  producer   compare_exchange(head, old, node); on failure `old` is the value found
 *     P4  producer   write(eventfd, 1), only if P3 replaced ASLEEP
 *     L1  loop       reap: consume the wake completions that are in the completion queue
 *     L2  loop       exchange(head, NIL)
 *     L3  loop       walk the list: read node.next, then process the node
 *     L4  loop       compare_exchange(head, NIL, ASLEEP)
 *     L5  loop       enter the kernel: submit (a due re-arm of the poll), then wait
 *     C1  loop       exchange(head, CLOSED)
 *     C2  loop       read(eventfd) until the sum of what was read is `owed`
 *     C3  loop       close(eventfd)
 *
 * spin interleaves these steps under sequential consistency only. It cannot find a memory order
 * that is too weak; the thread sanitizer and the reasoning beside each memory order in the C++
 * have to do that. A compare_exchange_weak that fails spuriously is a retry, and is not modelled.
 *
 * The kernel's part: `count` is the eventfd's counter, never drained before C2. `armed` says that
 * the multishot poll is in place; a write then makes `ready` true, which stands for one or more
 * wake completions not yet reaped (they may collapse). A write adds and notifies under one lock of
 * the eventfd, hence one step. With REARM a write's completion may be the last one of the poll
 * (no F_MORE, as when the completion queue is full), and the loop arms it again at L5; arming
 * reports at once if the counter is not zero.
 *
 * With TIMERS a timer (or any other completion of the ring) may end any sleep at any moment, until
 * at some moment there are no more. The latter matters: from then on nothing but the eventfd can
 * help, so a lost wake-up shows as a loop that sleeps for ever.
 *
 * The debt. A producer that replaced ASLEEP writes later, perhaps after the loop was woken by a
 * timer, has processed its node and sleeps again. The loop therefore counts who is going to write:
 * `owed` is the number of its sleeps that a producer ended. It is settled by the first exchange
 * after the sleep, L2 or C1, and by nothing else: ASLEEP came back: nobody writes; a list came
 * back: exactly one producer has written or will. Wake completions must not be counted, they
 * collapse and come late.
 *
 * Options (-D): PRODUCERS, PUSHES, TIMERS, CLOSE (the loop may close at any moment), REARM,
 * REUSE (a producer pushes the same node again once it was processed: the same address returns
 * while others hold it in `old`), WAIT (from some moment on the loop has no ring, and sleeps in
 * read(eventfd), which drains the counter). LTL_* adds a liveness formula, see the end.
 * MUTANT=1..14 plants one error, see run.sh for the list; OUTCOME_ONLY switches off the asserts on
 * `owed`, so that a mutant shows the harm it does.
 *
 * Taken for granted, and not provided by this protocol: the memory of the inbox outlives every
 * producer that may still come to P1 or P3. A producer may be refused long after C3, and it reads
 * `head` to learn so. What the protocol does provide is that nothing of the inbox is touched
 * after a successful P3, but for the descriptor, which is open until P4 is done.
 */

#ifndef PRODUCERS
#define PRODUCERS 3
#endif
#ifndef PUSHES
#define PUSHES 2
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define NIL 0
#define ASLEEP 254
#define CLOSED 255

#ifdef REUSE
#define NODES PRODUCERS
#define NODE(p, i) ((p) + 1)
#else
#define NODES (PRODUCERS * PUSHES)
#define NODE(p, i) ((p) * PUSHES + (i) + 1)
#endif

/* What the program has. */
byte head = NIL;
byte next[NODES + 1];
bit sleep_flag;         /* mutant 5 only: the second variable of a two-variable protocol */

/* What the kernel has. */
byte count;
bit armed = 1;
bit ready;
bit fd_closed;

/* Ghosts: what the properties talk about; no step of the protocol reads them. */
#define FRESH 0
#define PUSHED 1
#define PROCESSED 2
#define REFUSED 3
byte node_state[NODES + 1];
byte queued;            /* nodes that are pushed and not processed */
byte tickets;           /* sleeps that a producer ended, that is: writes that are due or done */
byte written;           /* writes done */
byte owed;              /* the loop's own count; a local of the loop but for the asserts */
bit sleep_ended;        /* a producer has ended the present sleep */
byte finished;          /* producers that have returned */
bit over;               /* the loop has returned */

#define all_quiet (finished == PRODUCERS && queued == 0)

/* P3's ghost: the present sleep is ended, and by one producer only. */
inline ticket() {
    assert(sleep_ended == 0);
    sleep_ended = 1;
    tickets++
}

/* P4. Also states "at most one write per sleep": each write uses up a ticket, and `ticket` gives
 * out one for each sleep. (Between two L4 there can still be two writes, one of them late.) */
inline write_eventfd() {
    atomic {
        assert(!fd_closed);
        assert(written < tickets);
        written++;
        notify()
    }
}

inline notify() {
    count++;
    if
    :: armed -> ready = 1
#ifdef REARM
    :: armed -> ready = 1; armed = 0
#endif
    :: else
    fi
}

/* P2. Part of the step before it: nobody else reads or writes the `next` of a node that is not in
 * the queue, so nothing that happens between the two could make a difference. */
inline link() {
    next[node] = (old == ASLEEP -> NIL : old)
}

proctype producer(byte id) {
    byte i, node, old;
    bit pushed;

    do
    :: i < PUSHES ->
        node = NODE(id, i);
        atomic {
            node_state[node] != PUSHED;     /* REUSE: not again before it was processed */
            old = head;                     /* P1 */
            link()                          /* P2 */
        }
        do
        :: old == CLOSED ->
            d_step {
                assert(node_state[node] != PUSHED);
                node_state[node] = REFUSED; /* the node stays the producer's own */
                next[node] = NIL
            }
            break
        :: else ->
            atomic {
                if                          /* P3 */
                :: head == old ->
                    head = node;
                    pushed = 1;
                    node_state[node] = PUSHED;
                    queued++;
                    if
                    :: old == ASLEEP -> ticket()
                    :: else
                    fi
                :: else ->
                    old = head;
                    link()                  /* P2 */
                fi
            }
            if
            :: pushed ->
                /* From here on the node is the loop's, and unless ASLEEP was replaced so may be
                 * the inbox: the loop may have processed the node, closed and gone. */
                pushed = 0;
#if MUTANT == 1
                skip;                       /* whether ASLEEP was replaced is forgotten */
#elif MUTANT == 3
                write_eventfd();            /* on every push */
#elif MUTANT == 5
                atomic {                    /* exchange(sleep_flag, false) */
                    if
                    :: sleep_flag -> sleep_flag = 0; ticket(); old = ASLEEP
                    :: else
                    fi
                }
                if
                :: old == ASLEEP -> write_eventfd()
                :: else
                fi;
#else
                if
                :: old == ASLEEP -> write_eventfd()         /* P4 */
                :: else
                fi;
#endif
                break
            :: else
            fi
        od;
        old = 0;
        node = 0;
        i++
    :: else -> break
    od;
    finished++
}

/* L1. A final completion tells the loop to arm the poll again at its next L5. */
inline reap() {
    d_step {
        ready = 0;
        rearm = !armed
    }
#if MUTANT == 8
    ;
    owed++                                  /* counts completions instead of ended sleeps */
#endif
}

/* After L2 and C1: the sleep, if there was one, is over; did a producer end it? */
inline settle_sleep() {
    assert(batch != ASLEEP || slept);
    assert(batch != CLOSED);
    if
    :: slept ->
        slept = 0;
        if
        :: batch == ASLEEP ->
            batch = NIL;
#if MUTANT == 9
            owed++                          /* counts every sleep */
#endif
        :: else ->
#if MUTANT != 5
            assert(batch != NIL);
#endif
#if MUTANT != 8
            owed++
#endif
        fi
    :: else
    fi
}

/* L3. `node.next` is read first, because the node is not ours any more once it is processed. One
 * step for each node: the read is of memory that only the loop may touch now (so is the store,
 * which is not in the C++: it forgets a dead value, for fewer states). */
inline process_batch() {
    do
    :: batch != NIL ->
#if MUTANT == 12
        node = batch;
        process(node);                      /* the wrong order */
        batch = next[node]
#else
        d_step {
            node = batch;
            batch = next[node];
            next[node] = NIL;
            process(node);
            node = 0
        }
#endif
    :: else -> break
    od
}

inline process(n) {
    assert(node_state[n] == PUSHED);        /* not twice, not refused, not before its push */
    node_state[n] = PROCESSED;
    queued--
}

/* A blocking read: takes all that is there. */
inline read_eventfd() {
    atomic { count > 0 -> seen = seen + count; count = 0 }
}

#ifdef OUTCOME_ONLY
#define owed_is_exact skip
#else
#define owed_is_exact assert(owed == tickets)
#endif

proctype loop() {
    byte batch, node, seen;
    bit timers_over;
    bit slept;                              /* L4 succeeded and no exchange has followed */
    bit rearm;
    bit ringless;                           /* WAIT: the ring is gone, L5 is a read(eventfd) */

again:
    /* An iteration may reap (L1) before L2, after it, or not at all. What it may not do is to reap
     * between L4 and the wait: the completion may be the only news of a push (mutant 6). */
    if
    :: ready -> reap()
    :: true
#ifdef CLOSE
    :: true -> goto closing                 /* also with ASLEEP, or its replacement, in head */
#endif
#ifdef WAIT
    :: !ringless -> ringless = 1
#endif
    fi;

    /* L2. The C++ looks first, and leaves out the exchange if it is awake and head is NIL: then
     * the exchange would have put NIL in NIL's place. */
    atomic { batch = head; head = NIL };
    settle_sleep();
    if
    :: batch != NIL ->
        process_batch();                    /* L3 */
        goto again
    :: else
    fi;

    if
    :: ready -> reap()
    :: true
    fi;

#if MUTANT == 2
    atomic { head = ASLEEP; sleep_ended = 0; slept = 1 };   /* a blind store */
#elif MUTANT == 14
commit:
    if
    :: atomic { head == NIL -> head = ASLEEP; sleep_ended = 0; slept = 1 }
    :: atomic { head != NIL -> slept = 0 }; goto again
    fi;
#elif MUTANT == 5
    if
    :: head != NIL -> goto again            /* the check ... */
    :: else
    fi;
    atomic { sleep_flag = 1; sleep_ended = 0; slept = 1 };  /* ... and, later, the flag */
#else
    atomic {                                /* L4 */
        if
        :: head == NIL ->
            head = ASLEEP;
            owed_is_exact;                  /* each earlier sleep was settled, and rightly */
            sleep_ended = 0;
            slept = 1
        :: else -> goto again
        fi
    };
#endif

#if MUTANT == 6
    if
    :: ready -> reap()
    :: true
    fi;
#endif

#if defined(REARM) && MUTANT != 7
    atomic {                                /* L5, submission */
        if
        :: rearm ->
            rearm = 0;
            armed = 1;
            if
            :: count > 0 -> ready = 1
            :: else
            fi
        :: else
        fi
    };
#endif
    if                                      /* L5, the wait */
    :: ready && !ringless -> reap(); goto again
#ifdef WAIT
    :: ringless -> goto wait
#endif
#ifdef TIMERS
    :: !timers_over -> timers_over = 1; goto again
    :: !timers_over ->
#if MUTANT == 14
        goto commit                         /* sleeps again with no exchange in between */
#else
        goto again
#endif
#endif
#ifdef CLOSE
    :: goto closing                         /* the completion that ended the sleep said so */
#endif
    :: all_quiet                            /* not a step of the protocol: the end of the run */
    fi;
#ifdef CLOSE
    goto closing;
#else
    goto done;
#endif

#ifdef WAIT
wait:                                       /* only a replaced ASLEEP ends it */
    if
    :: head != ASLEEP -> goto again
    :: else
    fi;
    if
    :: read_eventfd(); goto wait
    :: all_quiet && count == 0
    fi;
#ifndef CLOSE
    goto done;
#endif
#endif

#ifdef CLOSE
closing:
    atomic {                                /* C1 */
        batch = head;
        head = CLOSED
    };
#if MUTANT == 10
    if
    :: batch == ASLEEP -> batch = NIL       /* forgets that a sleep may end here */
    :: else
    fi;
#elif MUTANT == 13
    if
    :: batch != NIL && batch != ASLEEP -> owed++    /* takes any list for an ended sleep */
    :: batch == ASLEEP -> batch = NIL
    :: else
    fi;
#else
    settle_sleep();
#endif
    slept = 0;
    owed_is_exact;
    process_batch();
#if MUTANT != 4
    do                                      /* C2 */
    :: seen < owed -> read_eventfd()
    :: else -> break
    od;
#ifndef OUTCOME_ONLY
    assert(seen == owed && written == owed);
#endif
#endif
    fd_closed = 1;                          /* C3 */
#endif

done:
    over = 1
}

#if MUTANT == 11
/* Somebody (a signal handler, a stop request, a forked child) rings without having pushed. */
proctype stranger() {
    if
    :: atomic { !fd_closed -> notify() }
    :: fd_closed
    fi
}
#endif

init {
    byte i;
    bit lost_node, lost_wakeup, close_stuck;

    atomic {
        run loop();
#if MUTANT == 11
        run stranger();
#endif
        do
        :: i < PRODUCERS -> run producer(i); i++
        :: else -> break
        od;
        i = 0
    }

    if
    :: over && finished == PRODUCERS ->
        d_step {
            assert(queued == 0);
            assert(written == tickets);
            for (i : 1 .. NODES) {
#ifdef CLOSE
                assert(node_state[i] == PROCESSED || node_state[i] == REFUSED)
#else
                assert(node_state[i] == PROCESSED)
#endif
            }
        }
    :: timeout ->                           /* nobody can move: say why, then fail */
        if
        :: head == CLOSED -> close_stuck = 1
        :: head == ASLEEP -> lost_node = 1
        :: else -> lost_wakeup = 1
        fi;
        assert(!close_stuck);
        assert(!lost_node);
        assert(!lost_wakeup)
    fi
}

/* Liveness, under weak fairness. `served`: every node that is pushed is processed (producers are
 * alike, so one producer's nodes stand for all). `ends`: the loop and all producers return; with
 * CLOSE that is: a close does not wait for ever. `returns`: every push returns. It is false with
 * TIMERS: a push is lock-free, not wait-free, and a loop that falls asleep and wakes for ever can
 * make one producer's P3 fail for ever. */
#ifdef LTL_SERVED
#define waits1 (node_state[1] == PUSHED)
#define waits2 (node_state[2] == PUSHED)
ltl served { [] (waits1 -> <> !waits1) && [] (waits2 -> <> !waits2) }
#endif
#ifdef LTL_ENDS
ltl ends { <> (over && finished == PRODUCERS) }
#endif
#ifdef LTL_RETURNS
ltl returns { <> (finished == PRODUCERS) }
#endif
