/* SPDX-License-Identifier: MIT
 *
 * A model of the doorbell from worker processes back to the loop that awaits their calls: a
 * channel's tail and its word `armed` in each worker's memory, and the channel's eventfd. Also the
 * burial of a worker that died anywhere on its way to the bell, and the manager that listens while
 * the loop does not run. tests/model/run.sh checks it with spin.
 *
 * Actors: WORKERS workers, each of which has CALLS calls in its slots, one loop, the manager, and a
 * store buffer for each of them (see worker_bell.pml: what BUFFERS stands for is the same).
 *
 *     X1  worker   Worker::execute: compare_exchange(slot.state, queued, running)
 *     X2  worker   execute: compare_exchange(slot.state, running, done)
 *     A1  worker   Worker::announce: tail + 1       (the entry before it: call i is entry i here)
 *     A2  worker   announce: fence
 *     A3  worker   announce: load armed, if not 0: exchange(armed, 0)
 *     A4  worker   announce: if it was not 0: write_event
 *     C1  both     PoolCore::collect: take the lock
 *     C2  both     collect: load tail; for each entry: extract, which loads slot.state, and takes
 *                  the node out of the program's table
 *     C3  both     collect: let go of the lock, settle
 *     F1  both     PoolCore::fall_asleep: take the lock; armed = 1 in each worker
 *     F2  both     fall_asleep: fence
 *     F3  both     fall_asleep: load each tail; if it is not what was collected: do not sleep
 *     W1  loop     Ring::wait: submit the poll of the eventfd, unless one is in flight; sleep
 *     W2  loop     PoolChannel::reset_event: read(eventfd), after the poll's completion
 *     H1  loop     PoolCore::set_attached
 *     M1  manager  manage: which channels have no running loop
 *     M2  manager  manage: poll(); it ends by the channel's event, its own, or a worker's death
 *     M3  manager  manage: read(eventfd)
 *     B1  manager  PoolCore::bury: take the lock, take the worker off the list
 *     B2  manager  bury: load each slot.state, take each node out of the table; let go of the lock
 *     B3  manager  bury: settle
 *
 * Nodes that are settled for a loop are posted to its inbox, whose protocol is in inbox.pml; here it
 * is one bit that ends a sleep.
 *
 * The kernel's part: a write that finds the poll in flight completes it, or only wakes it, to look
 * again when the loop's thread comes by; which of the two, depends on the kernel's version. If
 * somebody else has read the eventfd meanwhile, the second kind sleeps on.
 *
 * Options (-D): WORKERS, CALLS, BUFFERS, DEATHS (so many workers die, at any step), HANDOVER (the
 * loop begins to run when the manager listens already), UNAWAITED (with HANDOVER: nobody waits for
 * worker 0's first call, as after a cancellation with OnCancel::abandon: settling it wakes no loop),
 * LTL_SETTLED. MUTANT=1..10 plants one error, see run.sh for the list.
 *
 * Mutant 10 was in the C++ when the model was written (64e6bec): the manager, in poll() since before
 * the loop began to run, reads a ring that was for the loop, which sleeps on with `armed` at 0. Here
 * the manager writes the eventfd again if the loop has begun to run meanwhile.
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define LOOP WORKERS
#define MANAGER (WORKERS + 1)
#define ACTORS (WORKERS + 2)

/* Words that workers and program share: a tail and an `armed` for each worker. */
#define TAIL(w) (1 + (w))
#define ARMED(w) (1 + WORKERS + (w))
byte word[1 + 2 * WORKERS];
byte buffered[ACTORS];
byte value[ACTORS];

/* Slots, and the program's table: is there a node in the slot? */
#define CALL(w, i) ((w) * CALLS + (i))
#define ALL (WORKERS * CALLS)
mtype = { queued, running, done };
mtype state[ALL];
bit node[ALL];

/* The program's. */
bit locked;
byte collected[WORKERS];
bit buried[WORKERS];
bit attached;

/* The kernel's. */
byte count;             /* the channel's eventfd */
bit polled;             /* the loop's poll is in flight */
bit completed;          /* its completion is not yet reaped */
bit manager_event;
bit posted;             /* to the loop's inbox */
bit dead[WORKERS];

/* Ghosts. */
#define RESULT 1
#define CRASH 2
#define MOVED 3         /* never begun: another worker's, see slots.pml */
byte settled[ALL];
byte settlements;
byte tickets[WORKERS];  /* armings that no write has used up */
byte deaths;
bit loop_over;

#ifdef UNAWAITED
#define awaited(c) ((c) != 0)
#else
#define awaited(c) true
#endif

/* Each arming is a ticket for one write. */
inline to_memory(which, what) {
    if
    :: which > WORKERS && what == 1 && word[which] == 0 -> tickets[which - 1 - WORKERS]++
    :: else
    fi;
    word[which] = what
}

inline store(me, which, what) {
#ifdef BUFFERS
    atomic { buffered[me] == 0 -> buffered[me] = which; value[me] = what }
#else
    d_step { to_memory(which, what) }
#endif
}

#define load(me, which) (buffered[me] == which -> value[me] : word[which])

#ifdef BUFFERS
#define fence(me) (buffered[me] == 0)
#else
#define fence(me) true
#endif

inline lock() { atomic { !locked -> locked = 1 } }
/* Whoever takes the lock next sees everything. */
inline unlock(me) { atomic { fence(me) -> locked = 0 } }

inline write_event() {
    atomic {
        count++;
        if
        :: polled -> polled = 0; completed = 1
        :: true
        fi
    }
}

#if DEATHS > 0
#define or_dies :: deaths < DEATHS -> deaths++; goto dies
#else
#define or_dies
#endif

proctype worker(byte w) {
    byte i;
    bit rings;

    do
    :: i < CALLS ->
#if DEATHS > 0
        if
        :: state[CALL(w, i)] = running                  /* X1 */
        or_dies
        fi;
#endif
        if
        :: state[CALL(w, i)] = done                     /* X2 */
        or_dies
        fi;
#if MUTANT == 4
        rings = (word[ARMED(w)] != 0);                  /* looks before it has said so */
#endif
        if
        :: store(w, TAIL(w), i + 1)                     /* A1 */
        or_dies
        fi;
#if MUTANT != 1
        fence(w);                                       /* A2 */
#endif
#if MUTANT == 5
        rings = 1;                                      /* always */
#elif MUTANT == 4
        d_step { rings = rings && word[ARMED(w)]; word[ARMED(w)] = 0 };
#else
        if
        :: word[ARMED(w)] != 0 ->                       /* A3 */
            d_step { rings = word[ARMED(w)]; word[ARMED(w)] = 0 }
        :: else
        fi;
#endif
        if
        :: rings ->
            rings = 0;
            if
            :: atomic {                                 /* A4 */
                    assert(tickets[w] > 0);             /* at most one write for each arming */
                    tickets[w]--;
                    write_event()
               }
            or_dies
            fi
        :: else
        fi;
        i++
    :: else -> break
    od;
    goto over;
#if DEATHS > 0
dies:
    i = 0;
    buffered[w] == 0;                                   /* what it stored is stored */
    dead[w] = 1;                                        /* now the zygote can report it */
#endif
over:
    skip
}

/* One step for all that is settled at once: it touches the nodes, which are the settler's own, and
 * the inbox, of which one bit is left here. */
inline settle(c, how) {
    assert(settled[c] == 0);                            /* exactly once */
    assert(how == RESULT || state[c] != done);          /* a result is kept */
    settled[c] = how;
    settlements++;
    if
    :: awaited(c) -> posted = 1
    :: else
    fi
}

/* C2, for one worker. Its entries are one step: what is done stays done, and the program's table is
 * guarded by the lock. */
inline take(me, w) {
    tail = (buried[w] -> collected[w] : load(me, TAIL(w)));
    d_step {
        do
        :: collected[w] < tail ->
            c = CALL(w, collected[w]);
            collected[w]++;
            taken[c] = node[c] && state[c] == done;
            node[c] = node[c] && !taken[c]
        :: else -> break
        od;
        c = 0;
        tail = 0
    }
}

inline collect(me) {
    lock();                                             /* C1 */
    take(me, 0);                                        /* C2 */
#if WORKERS > 1
    take(me, 1);
#endif
    unlock(me);                                         /* C3 */
    d_step {
        do
        :: c < ALL && taken[c] -> settle(c, RESULT); taken[c] = 0; c++
        :: c < ALL && !taken[c] -> c++
        :: else -> c = 0; break
        od
    }
}

inline arm(me) {
    if
    :: !buried[0] -> store(me, ARMED(0), 1)
    :: else
    fi;
#if WORKERS > 1
    if
    :: !buried[1] -> store(me, ARMED(1), 1)
    :: else
    fi
#endif
}

/* F3. */
inline look(me) {
    waiting = !buried[0] && load(me, TAIL(0)) != collected[0];
#if WORKERS > 1
    waiting = waiting || (!buried[1] && load(me, TAIL(1)) != collected[1])
#endif
}

inline fall_asleep(me) {
    lock();
#if MUTANT == 3
    look(me);                                           /* the last look, and then the arming */
    arm(me);
    fence(me);
#else
    arm(me);                                            /* F1 */
#if MUTANT != 2
    fence(me);                                          /* F2 */
#endif
    look(me);                                           /* F3 */
#endif
    unlock(me)
}

#ifdef UNAWAITED
#define loop_is_done (settlements - (settled[0] != 0) == ALL - 1)
#else
#define loop_is_done (settlements == ALL)
#endif

proctype loop() {
    byte c, tail;
    bit taken[ALL];
    bit waiting;

#ifdef HANDOVER
    atomic { !locked -> attached = 1 };                 /* H1 */
#endif
again:
    posted = 0;                                         /* the inbox is taken */
    collect(LOOP);
    if
    :: loop_is_done -> goto leave
    :: else
    fi;
    fall_asleep(LOOP);
    if
    :: waiting -> goto again
    :: else
    fi;
#if MUTANT == 6
    if                                                  /* reaps between arming and sleeping */
    :: completed || (polled && count > 0) -> completed = 0; polled = 0; count = 0
    :: true
    fi;
#endif
    atomic {                                            /* W1 */
        if
        :: !polled && !completed -> polled = 1
        :: else
        fi
    };
    if
    :: completed || (polled && count > 0) ->
        atomic { completed = 0; polled = 0 };
        count = 0;                                      /* W2 */
        goto again
    :: posted -> goto again
    fi;
leave:
    waiting = 0;
#ifdef HANDOVER
    atomic { !locked -> attached = 0; manager_event = 1 };
#endif
    loop_over = 1
}

proctype manager() {
    byte w, c, tail;
    bit taken[ALL];
    byte found[CALLS];
    bit watches, waiting, read_it;

again:
    if
    :: loop_over && settlements == ALL -> goto over     /* not a step: the end of the run */
    :: else
    fi;
#ifdef HANDOVER
    atomic { !locked -> watches = !attached };          /* M1 */
    if
    :: watches -> fall_asleep(MANAGER)
    :: else
    fi;
#endif
    if                                                  /* M2 */
#ifdef HANDOVER
    :: manager_event -> manager_event = 0               /* M3, its own event */
    :: waiting -> waiting = 0
    :: watches && count > 0 -> read_it = 1; count = 0   /* M3 */
#endif
#if DEATHS > 0
    :: atomic { dead[0] && !buried[0] -> w = 0 }; goto bury
#if WORKERS > 1
    :: atomic { dead[1] && !buried[1] -> w = 1 }; goto bury
#endif
#endif
    :: loop_over && settlements == ALL
    fi;
#ifdef HANDOVER
    if
    :: watches -> collect(MANAGER)
    :: else
    fi;
#if MUTANT != 10
    /* The loop began to run while the manager was in poll(), and the ring may have been for it. */
    if
    :: read_it && attached -> write_event()
    :: else
    fi;
#endif
    read_it = 0;
    watches = 0;
    waiting = 0;
#endif
    goto again;

#if DEATHS > 0
bury:
#if MUTANT != 7
    lock();                                             /* B1 */
#endif
    buried[w] = 1;
    do                                                  /* B2 */
    :: c < CALLS ->
        if
        :: node[CALL(w, c)] ->
            atomic {
                if
                :: state[CALL(w, c)] == done -> found[c] = (MUTANT == 8 -> CRASH : RESULT)
                :: state[CALL(w, c)] == running -> found[c] = CRASH
                :: state[CALL(w, c)] == queued -> found[c] = MOVED
                fi;
#if MUTANT != 7
                node[CALL(w, c)] = 0
#endif
            }
#if MUTANT == 7
            node[CALL(w, c)] = 0
#endif
        :: else
        fi;
        c++
    :: else -> c = 0; break
    od;
#if MUTANT != 7
    locked = 0;
#endif
#if MUTANT == 9
    d_step {                                            /* leaves what is done to the bell */
        do
        :: c < CALLS -> found[c] = (found[c] == RESULT -> 0 : found[c]); c++
        :: else -> c = 0; break
        od
    }
#endif
    skip;
    d_step {                                            /* B3 */
        do
        :: c < CALLS && found[c] != 0 -> settle(CALL(w, c), found[c]); found[c] = 0; c++
        :: c < CALLS && found[c] == 0 -> c++
        :: else -> c = 0; break
        od;
        w = 0;
        waiting = 0;
        watches = 0
    }
    goto again;
#endif
over:
    skip
}

#ifdef BUFFERS
/* The hardware: what is in a buffer becomes visible, at some time. */
proctype memory(byte me) {
end:
    do
    :: d_step { buffered[me] != 0 -> to_memory(buffered[me], value[me]); buffered[me] = 0;
                value[me] = 0 }
    od
}
#endif

init {
    byte i;
    bit unread;

    atomic {
        do
        :: i < ALL -> state[i] = queued; node[i] = 1; i++
        :: else -> i = 0; break
        od;
        do
        :: i < WORKERS ->
            word[ARMED(i)] = 1;                         /* PoolCore::start_worker */
            tickets[i] = 1;
            run worker(i);
            i++
        :: else -> i = 0; break
        od;
        run loop();
        run manager();
#ifdef BUFFERS
        do
        :: i < ACTORS -> run memory(i); i++
        :: else -> i = 0; break
        od
#endif
    }
    if
    :: loop_over && settlements == ALL
    :: timeout ->                                       /* nobody can move */
        unread = 1;
        assert(!unread)                                 /* a completion is left unread */
    fi
}

/* Liveness, under weak fairness. */
#ifdef LTL_SETTLED
ltl all_settled { <> (settlements == ALL) }
#endif
