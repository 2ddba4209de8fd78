/* SPDX-License-Identifier: MIT
 *
 * A model of what becomes of the calls of a process pool: the state of a slot in a worker's memory,
 * the phase of a call's node in the program, and the pool's lock. tests/model/run.sh checks it with
 * spin. How the two sides wake each other is in worker_bell.pml and loop_bell.pml.
 *
 * Actors: two workers, whose processes are replaced when they are dead; a dispatcher, which is
 * whichever thread is in PoolCore::pump; a collector, which is a loop in PoolCore::collect; the
 * manager; and a canceller of call 0. In the C++ an awaited call's canceller and collector are one
 * thread; here they are two, for more interleavings.
 *
 *     D1  dispatcher  pump, choose: take the lock, a call from the queue, reserve a slot; unlock
 *     D2  dispatcher  hand_over: begin_encoding, that is compare_exchange(phase, queued, encoding)
 *     D3  dispatcher  hand_over: take the lock; if the worker is dead: phase = queued, put_back
 *     D4  dispatcher  publish: the table and node.place; phase = away
 *     D5  dispatcher  publish: slot.state = queued; then its number to the submissions; unlock
 *     X1  worker      Worker::execute: compare_exchange(slot.state, queued, running)
 *     X2  worker      execute: compare_exchange(slot.state, running, done); on failure: pause
 *     C1  collector   collect: take the lock
 *     C2  collector   extract: load slot.state; if done: the node out of the table, state = empty
 *     C3  collector   unlock; settle: begin_settling, that is pin, phase = finished; or let_go
 *     B1  manager     bury: take the lock; for each slot with a node: look what it had come to, the
 *                     node out of the table; unlock
 *     B2  manager     bury: settle (as C3) what was done, running or killed; pin what was queued
 *     B3  manager     bury: take the lock; node.place, phase = queued, put_back; unlock
 *     T1  manager     steal: take the lock, load slot.state, try_pin
 *     T2  manager     steal: try_recall, compare_exchange(slot.state, queued, empty)
 *     T3  manager     steal: phase = queued, or away if T2 failed; put_back; unlock
 *     K1  manager     kill_what_is_due: with the lock, kill
 *     Z1  canceller   OffloadAwaiterBase::cancel: load phase; if queued: withdraw, with the lock,
 *                     or compare_exchange(phase, queued, cancelled)
 *     Z2  canceller   pin: load phase, compare_exchange(phase, away, pinned); waits while the phase
 *                     is encoding or pinned
 *     Z3  canceller   recall: with the lock; find, try_recall (as T2)
 *     Z4  canceller   interrupt: with the lock; find; kill, or a time for K1 to do it
 *     Z5  canceller   phase = cancelled, away or abandoned
 *     Z6  canceller   again, unless the call is over
 *
 * kill is compare_exchange(slot.state, running, killing), and then the signal, which lands at any
 * time after.
 *
 * With FUTURE the canceller is CallState::cancel of a call that a loop made: Z1 does not withdraw,
 * and after Z4 the call is abandoned.
 *
 * What lies in a slot beside its state, and the doorbells, are left out: the collector looks at
 * every slot, the worker takes its submissions from a channel. So are results that are read in
 * place: their slot stays done, without a node, for longer.
 *
 * Options (-D): FUTURE, GRACE (interrupt leaves the killing to K1), CRASHES (worker 0 dies by itself
 * so many times, at any step), STEALS (so many), UNCANCELLED, ENDLESS (call 0 does not return by
 * itself), LATE (worker 0 is buried that is not dead yet, as lose_zygote may have to: no replacement).
 * MUTANT=1..14 plants one error, see run.sh for the list.
 *
 * Three of them were in the C++ when the model was written (64e6bec); here is what it does instead.
 *     11  A canceller that pins a call between B1 and B2 finds it nowhere, so that neither recall
 *         nor interrupt does a thing, and still takes it for cancelled; B3 then moves it, and it
 *         is executed. Here Z4 leaves a word (`unwanted`, guarded by the lock), which B3 reads.
 *     12  Z6 goes on only if the phase is queued; it may be encoding or away again, if the call was
 *         handed over between Z2's load and Z6's. Here it goes on unless the call is over.
 *     13  B1 loads slot.state. A worker that is not dead yet (lose_zygote does not wait for one of
 *         which it has no pidfd, and for others at most a second) may then begin a call that B3
 *         moves, or finish one that counts as crashed. Here B1 claims it by compare-and-swap.
 */

#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef STEALS
#define STEALS 0
#endif
#ifndef MUTANT
#define MUTANT 0
#endif
#ifdef LATE
#define takes_calls(w) (life[w] == 0)
#else
#define takes_calls(w) true
#endif

#define CALLS 2
#define SLOTS 2         /* of a worker */
#define PLACES (2 * SLOTS)
#define WORKER(p) ((p) / SLOTS)
#define NONE 3          /* no call */

/* JobNode::Phase. */
#define QUEUED 0
#define ENCODING 1
#define AWAY 2
#define PINNED 3
#define CANCELLED 4
#define ABANDONED 5
#define FINISHED 6
byte phase[CALLS];
byte place[CALLS];
bit in_queue[CALLS];

/* Shared with the workers. The numbers of the submissions; the slot's state, and whose call. */
mtype = { s_empty, s_queued, s_running, s_done, s_killing };
mtype state[PLACES];
byte content[PLACES];
chan submissions[2] = [4] of { byte };

/* The program's, guarded by the lock. */
bit locked;
byte table[PLACES];     /* the node in the slot, or NONE */
bit used[PLACES];       /* not in free_slots */
bit due[PLACES];        /* Call::kill_at */
byte life[2];           /* which process it is; a hand_over holds the worker that it chose */
bit unwanted[CALLS];    /* cancelled while it was on its way out of a dead worker */
bit moving[CALLS];

/* The kernel's. */
bit signalled[2];
bit dead[2];

/* Ghosts. */
bit begun[CALLS];
bit landed[CALLS];      /* X2 was faster than a kill */
bit recalled[CALLS];
bit accepted[CALLS];    /* cancel() has said true */
byte completed[CALLS];  /* its caller was told */
byte released[CALLS];   /* the executor has let go */
byte crashes;
byte steals;
bit cancel_over;

#define all_over (released[0] == 1 && released[1] == 1 && cancel_over)

inline lock() { atomic { !locked -> locked = 1 } }

/* Its caller is told, and the executor lets go of it: an awaited call's two are one. */
inline complete(n) { d_step { assert(completed[n] == 0); completed[n]++ } }
inline release(n) { d_step { assert(released[n] == 0); released[n]++ } }
inline conclude(n) {
    d_step {
        assert(completed[n] == 0);
        assert(released[n] == 0);
        completed[n]++;
        released[n]++
    }
}
/* JobNode::let_go, and Job::cancel of an empty shell. The canceller has told a future's caller. */
#ifdef FUTURE
#define let_go(n) release(n)
#else
#define let_go(n) conclude(n)
#endif

inline free_slot(p) {
    table[p] = NONE;
    used[p] = 0;
    due[p] = 0
}

/* JobNode::pin. Where it waits, it waits for the phase to change. */
inline pin(n, won) {
    do
    :: atomic { phase[n] == AWAY -> phase[n] = PINNED; won = 1 }; break
    :: phase[n] != AWAY && phase[n] != ENCODING && phase[n] != PINNED -> break
    od
}

/* PoolCore::settle and its likes in bury. */
inline settle(n) {
#if MUTANT == 9
    phase[n] = FINISHED;                        /* without the claim */
    conclude(n);
#else
    won = 0;
    pin(n, won);
    if
    :: won -> phase[n] = FINISHED; won = 0; conclude(n)
    :: else -> let_go(n)
    fi
#endif
}

proctype dispatcher() {
    byte n, p, chosen;

    do
    :: atomic { !locked && (in_queue[0] || in_queue[1]) ->              /* D1 */
            if
            :: in_queue[0] -> n = 0
            :: in_queue[1] -> n = 1
            fi;
            if
            :: takes_calls(0) && !used[0] -> p = 0
            :: takes_calls(0) && used[0] && !used[1] -> p = 1
            :: takes_calls(1) && !used[2] -> p = 2
            :: takes_calls(1) && used[2] && !used[3] -> p = 3
            fi;
            in_queue[n] = 0;
            used[p] = 1;
            chosen = life[WORKER(p)]
       };
        if
        :: atomic { phase[n] == QUEUED -> phase[n] = ENCODING }         /* D2 */
        :: atomic { phase[n] != QUEUED -> let_go(n) };
            atomic { !locked ->
                if
                :: life[WORKER(p)] == chosen -> free_slot(p)
                :: else
                fi
            };
            goto next
        fi;
        lock();                                                         /* D3 */
        if
#if MUTANT == 14
        :: life[WORKER(p)] != chosen -> phase[n] = AWAY; locked = 0; goto next  /* into its memory */
#else
        :: life[WORKER(p)] != chosen ->
            phase[n] = QUEUED;
            atomic { in_queue[n] = 1; locked = 0 };
            goto next
#endif
        :: else
        fi;
        atomic { table[p] = n; place[n] = p };                          /* D4 */
        phase[n] = AWAY;
#if MUTANT == 8
        submissions[WORKER(p)]!p;
        atomic { content[p] = n; state[p] = s_queued };
#else
        atomic { content[p] = n; state[p] = s_queued };                   /* D5 */
        submissions[WORKER(p)]!p;
#endif
        locked = 0;
next:
        atomic { n = 0; p = 0; chosen = 0 }
    :: all_over -> break
    od
}

proctype worker(byte w) {
    byte p;

again:
    do
    :: submissions[w]?p ->
#if MUTANT == 1
        state[p] == s_queued;                             /* looks, and then stores */
#endif
        atomic {
            if
#if MUTANT == 1
            :: true ->
#else
            :: state[p] == s_queued ->                                    /* X1 */
#endif
                assert(!recalled[content[p]]);
                assert(!begun[content[p]]);             /* at most once */
                assert(!accepted[content[p]]);          /* not after its caller was told */
                assert(!signalled[w]);                  /* a kill hits no other call */
                begun[content[p]] = 1;
                state[p] = s_running
            :: else -> p = 0; goto again                /* recalled */
            fi
        };
        if
#ifdef ENDLESS
        :: atomic { state[p] == s_running && content[p] != 0 ->
#elif MUTANT == 2
        :: atomic {
#else
        :: atomic { state[p] == s_running ->                              /* X2 */
#endif
                state[p] = s_done;
                landed[content[p]] = 1
           }
        :: atomic { state[p] != s_running && signalled[w] -> goto dies }  /* pause */
        :: atomic { state[p] == s_running && signalled[w] -> goto dies }
#ifdef LATE
        :: all_over -> goto over
#endif
#if CRASHES > 0
        :: atomic { w == 0 && crashes < CRASHES -> crashes++; goto dies }
#endif
        fi;
        p = 0
    :: atomic { signalled[w] -> goto dies }
#if CRASHES > 0
    :: atomic { w == 0 && crashes < CRASHES -> crashes++; goto dies }
#endif
    :: all_over -> goto over
    od;
dies:
    atomic { p = 0; dead[w] = 1 };
    if
#ifndef LATE
    :: !dead[w] -> goto again                           /* its replacement */
#endif
    :: all_over
    fi;
over:
    skip
}

/* PoolCore::try_recall: T2 and Z3. With the lock. */
inline try_recall(p, got, for_good) {
#if MUTANT == 3
    if                                                  /* looks, and then stores */
    :: state[p] == s_queued -> recall(p, got, for_good)
    :: else
    fi
#else
    atomic {
        if
        :: state[p] == s_queued -> recall(p, got, for_good)
        :: else
        fi
    }
#endif
}

inline recall(p, got, for_good) {
    d_step {
        state[p] = s_empty;
        recalled[table[p]] = for_good;
        free_slot(p);
        got = 1
    }
}

/* PoolCore::kill, with send_death. With the lock. */
inline kill(p) {
#if MUTANT == 4
    if
    :: state[p] == s_running -> signalled[WORKER(p)] = 1  /* as it was a moment ago */
    :: else
    fi
#elif MUTANT == 6
    signalled[WORKER(p)] = 1                            /* whatever it does */
#else
    atomic {
        if
        :: state[p] == s_running -> state[p] = s_killing; signalled[WORKER(p)] = 1
        :: else
        fi
    }
#endif
}

#define has_mail(p) (!locked && table[p] != NONE && state[p] == s_done)

proctype collector() {
    byte n = NONE, p;
    bit won;

again:
    if                                                                  /* C1 */
    :: atomic { has_mail(0) -> p = 0; locked = 1 }
    :: atomic { has_mail(1) -> p = 1; locked = 1 }
    :: atomic { has_mail(2) -> p = 2; locked = 1 }
    :: atomic { has_mail(3) -> p = 3; locked = 1 }
    :: all_over -> goto over
    fi;
    atomic { n = table[p]; state[p] = s_empty; free_slot(p) };          /* C2 */
    atomic { locked = 0; p = 0 };                                       /* C3 */
    if
    :: n != NONE -> settle(n)
    :: else
    fi;
    n = NONE;
    goto again;
over:
    skip
}

/* What bury found. */
#define NOTHING 0
#define RESULT 1
#define CRASH 2
#define KILLED 3
#define WAITING 4
#define MOVED 5
#define DROPPED 6

#define may_steal(p) (!locked && steals < STEALS && table[p] != NONE && state[p] == s_queued)

proctype manager() {
    byte n, p, w;
    byte fate[CALLS];
    bit won, got;
    mtype seen = s_empty;

again:
    if
#if STEALS > 0
    :: atomic { may_steal(0) -> p = 0; locked = 1 }; goto steal
    :: atomic { may_steal(1) -> p = 1; locked = 1 }; goto steal
    :: atomic { may_steal(2) -> p = 2; locked = 1 }; goto steal
    :: atomic { may_steal(3) -> p = 3; locked = 1 }; goto steal
#endif
#ifdef GRACE
    :: atomic { !locked && due[0] -> p = 0; locked = 1 }; goto grace
    :: atomic { !locked && due[1] -> p = 1; locked = 1 }; goto grace
    :: atomic { !locked && due[2] -> p = 2; locked = 1 }; goto grace
    :: atomic { !locked && due[3] -> p = 3; locked = 1 }; goto grace
#endif
#ifdef LATE
    :: life[0] == 0 -> w = 0; goto bury
#else
    :: dead[0] -> w = 0; goto bury
    :: dead[1] -> w = 1; goto bury
#endif
    :: all_over -> goto over
    fi;

#if STEALS > 0
steal:                                                                  /* T1 */
    atomic { n = table[p]; steals++ };
#if MUTANT == 5
    pin(n, won);                                        /* with the lock */
    if
    :: !won -> goto no_steal
    :: else
    fi;
#else
    if
    :: atomic { phase[n] == AWAY -> phase[n] = PINNED }
    :: atomic { phase[n] != AWAY -> goto no_steal }
    fi;
#endif
    try_recall(p, got, 0);                                              /* T2 */
    if                                                                  /* T3 */
    :: got -> phase[n] = QUEUED; in_queue[n] = 1
    :: else -> phase[n] = AWAY
    fi;
no_steal:
    atomic { locked = 0; n = 0; p = 0; won = 0; got = 0 };
    goto again;
#endif

#ifdef GRACE
grace:                                                                  /* K1 */
    due[p] = 0;
    kill(p);
    atomic { locked = 0; p = 0 };
    goto again;
#endif

bury:
#if MUTANT != 7
    lock();                                                             /* B1 */
#endif
    atomic { life[w]++; p = w * SLOTS };
    do
    :: p < w * SLOTS + SLOTS ->
        if
        :: table[p] != NONE ->
            n = table[p];
#if MUTANT == 13 || MUTANT == 7
            seen = state[p];                            /* looks only */
#else
            /* A compare_exchange: from now on this is what it came to, should it not be dead. */
            d_step {
                seen = state[p];
                if
                :: seen == s_queued -> state[p] = s_empty
                :: seen == s_running -> state[p] = s_killing
                :: else
                fi
            };
#endif
            d_step {
                if
                :: seen == s_done -> fate[n] = (MUTANT == 10 -> CRASH : RESULT)
                :: seen == s_running -> assert(!signalled[w]); fate[n] = CRASH
                :: seen == s_killing -> fate[n] = KILLED
                :: seen == s_queued -> fate[n] = WAITING; moving[n] = 1
                :: else
                fi;
                table[p] = NONE
            }
        :: else
        fi;
        p++
    :: else -> break
    od;
    atomic {
        n = 0;
        seen = s_empty;
        do
        :: p > w * SLOTS ->
            p--;
            free_slot(p);
#ifndef LATE
            state[p] = s_empty                            /* the memory of another process */
#endif
        :: else -> break
        od;
        p = 0;
#ifndef LATE
        do
        :: len(submissions[w]) > 0 -> submissions[w]?p; p = 0
        :: len(submissions[w]) == 0 -> break
        od;
        signalled[w] = 0
#endif
    };
#if MUTANT != 7
    locked = 0;
#endif
    do                                                                  /* B2 */
    :: n < CALLS ->
        if
        :: fate[n] == RESULT -> settle(n)
        :: fate[n] == CRASH || fate[n] == KILLED ->
            assert(!landed[n]);                         /* a result that came first is kept */
            settle(n)
        :: fate[n] == WAITING ->
            pin(n, won);
            if
            :: won -> won = 0; fate[n] = MOVED
            :: else -> let_go(n)
            fi
        :: else
        fi;
        n++
    :: else -> break
    od;
    n = 0;
    lock();                                                             /* B3 */
    do
    :: n < CALLS ->
        moving[n] = 0;
        if
        :: fate[n] == MOVED && !unwanted[n] -> phase[n] = QUEUED; in_queue[n] = 1
        :: fate[n] == MOVED && unwanted[n] -> phase[n] = FINISHED; fate[n] = DROPPED
        :: else
        fi;
        n++
    :: else -> break
    od;
    n = 0;
    locked = 0;
    do
    :: n < CALLS ->
        if
        :: fate[n] == DROPPED -> conclude(n)
        :: else
        fi;
        fate[n] = NOTHING;
        n++
    :: else -> break
    od;
    atomic {
        n = 0;
#ifndef LATE
        dead[w] = 0;
#endif
        w = 0
    };
    goto again;
over:
    skip
}

/* Of call 0. */
proctype canceller() {
    byte p;
    bit won, got;

again:
#ifdef FUTURE
    if
    :: atomic { phase[0] == QUEUED -> phase[0] = CANCELLED; accepted[0] = 1; complete(0) }; goto over
    :: phase[0] != QUEUED
    fi;
#else
    if
    :: phase[0] == QUEUED ->                                            /* Z1 */
        lock();
        if
        :: in_queue[0] ->
            atomic { in_queue[0] = 0; recalled[0] = 1; locked = 0 };
            atomic { assert(phase[0] == QUEUED); phase[0] = CANCELLED; accepted[0] = 1 };
            conclude(0);
            goto over
        :: else -> locked = 0
        fi;
        if
        :: atomic { phase[0] == QUEUED -> phase[0] = CANCELLED; accepted[0] = 1 }; goto over
        :: phase[0] != QUEUED
        fi
    :: else
    fi;
#endif
    pin(0, won);                                                        /* Z2 */
    if
    :: !won ->                                                          /* Z6 */
#if MUTANT == 12
        if
        :: phase[0] == QUEUED -> goto again
#else
        if
        :: phase[0] == QUEUED || phase[0] == ENCODING || phase[0] == AWAY || phase[0] == PINNED ->
            goto again
#endif
        :: else
        fi;
        /* cancel() says false: only of a call that is over. */
        assert(phase[0] == FINISHED);
        goto over
    :: else
    fi;
    atomic { !locked -> p = place[0]; locked = 1 };                     /* Z3 */
    if
    :: table[p] == 0 -> try_recall(p, got, 1)
    :: else
    fi;
    locked = 0;
    if
    :: got ->
        atomic { phase[0] = CANCELLED; accepted[0] = 1 };               /* Z5 */
        conclude(0);
        goto over
    :: else
    fi;
    atomic { !locked -> p = place[0]; locked = 1 };                     /* Z4 */
    if
    :: table[p] == 0 ->
#ifdef GRACE
        due[p] = 1
#else
        kill(p)
#endif
#if MUTANT != 11
    :: table[p] != 0 && moving[0] -> unwanted[0] = 1    /* bury will see to it */
#endif
    :: else
    fi;
    locked = 0;
#ifdef FUTURE
    atomic { phase[0] = ABANDONED; accepted[0] = 1; complete(0) };      /* Z5 */
#else
    atomic { phase[0] = AWAY; accepted[0] = 1 };                        /* Z5 */
#endif
over:
    atomic { p = 0; won = 0; got = 0; cancel_over = 1 }
}

init {
    byte i;
    bit stuck;

    atomic {
        do
        :: i < PLACES -> state[i] = s_empty; table[i] = NONE; content[i] = NONE; i++
        :: else -> i = 0; break
        od;
        in_queue[0] = 1;
        in_queue[1] = 1;
        run dispatcher();
        run worker(0);
        run worker(1);
        run collector();
        run manager();
#ifndef UNCANCELLED
        run canceller()
#else
        cancel_over = 1
#endif
    }
    if
    :: all_over -> assert(completed[0] == 1 && completed[1] == 1)
    :: timeout ->                                       /* nobody can move */
        stuck = 1;
        assert(!stuck)                                  /* a call is lost, or a deadlock */
    fi
}
