/* SPDX-License-Identifier: MIT
 *
 * A model of the doorbell from a process pool's program to one worker process: the tail of the
 * submissions, the futex `asleep` and the word `retire`. tests/model/run.sh checks it with spin.
 * What happens to the slots is in slots.pml, the way back in loop_bell.pml.
 *
 * Actors: the program, that is: whichever thread holds the pool's lock (one process here: the lock
 * orders them), the worker, and a store buffer for each of the two.
 *
 *     P1  program   PoolCore::publish: slot.state = queued            (release store)
 *     P2  program   publish: submitted_tail + 1                       (release store)
 *     P3  program   publish: fence
 *     P4  program   publish: load asleep, if not 0: exchange(asleep, 0), if it was not 0: wake
 *     R1  program   PoolCore::retire_idle: retire = 1; only a worker that has nothing to do
 *     R2  program   retire_idle: fence
 *     R3  program   retire_idle: exchange(asleep, 0), if it was not 0: wake
 *     N1  worker    Worker::next: has_work, that is: load submitted_tail
 *     N2  worker    next: load retire
 *     S1  worker    Worker::sleep: asleep = 1
 *     S2  worker    sleep: fence
 *     S3  worker    sleep: has_work, load retire, load asleep, in this order, before each S4
 *     S4  worker    sleep: futex_wait(asleep, 1); the kernel looks and sleeps in one step
 *     S5  worker    sleep: asleep = 0
 *     E1  worker    Worker::execute: compare_exchange(slot.state, queued, running); on failure
 *                   the call counts as recalled, and is skipped
 *
 * Without BUFFERS the steps interleave under sequential consistency. With BUFFERS each actor's
 * plain stores go through a buffer of one place, which is flushed at any time, in order; a load
 * takes the actor's own store from there; a fence waits until it is empty, and so does the kernel in
 * futex_wait. That is what a hardware does to a store and a load behind it, the only reordering that
 * these fences are there for; one place suffices, as what matters is one store before one load.
 * An exchange does not flush the buffer: C++ does not say that it does (x86 would).
 *
 * Options (-D): CALLS, BUFFERS, SPURIOUS (a signal may end a futex_wait, once), LTL_TAKEN.
 * MUTANT=1..8 plants one error, see run.sh for the list.
 */

#ifndef CALLS
#define CALLS 3
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

/* The words, by number, so that a buffer can name them. */
#define NOTHING 0
#define TAIL 1
#define RETIRE 2
#define ASLEEP 3
#define STATE 4         /* STATE + i: the slot of call i */
byte word[STATE + CALLS];

#define EMPTY 0
#define QUEUED 1
#define RUNNING 2

#define PROGRAM 0
#define WORKER 1
byte buffered[2];       /* which word */
byte value[2];

/* The kernel's. */
bit sleeping;

/* Ghosts. */
byte published;         /* calls */
byte taken;
bit retiring;
bit ended;              /* the worker */
bit finished;           /* the program */

inline store(me, which, what) {
#ifdef BUFFERS
    atomic { buffered[me] == NOTHING -> buffered[me] = which; value[me] = what }
#else
    word[which] = what
#endif
}

#define load(me, which) (buffered[me] == which -> value[me] : word[which])

#ifdef BUFFERS
#define fence(me) (buffered[me] == NOTHING)
#else
#define fence(me) true
#endif

/* An exchange(asleep, 0) and what follows; `asleep` is never in the program's own buffer. */
inline take_and_wake() {
    atomic {
        seen = word[ASLEEP];
        word[ASLEEP] = 0
    };
    if
    :: seen != 0 -> seen = 0; sleeping = 0      /* futex_wake */
    :: else
    fi
}

proctype program() {
    byte seen;

    do
    :: published < CALLS ->
#if MUTANT != 4
        store(PROGRAM, STATE + published, QUEUED);      /* P1 */
#endif
        store(PROGRAM, TAIL, published + 1);            /* P2 */
#if MUTANT != 2
        fence(PROGRAM);                                 /* P3 */
#endif
#if MUTANT == 6
        if                                              /* forgets to wake */
        :: word[ASLEEP] != 0 -> word[ASLEEP] = 0
        :: else
        fi;
#else
        if                                              /* P4 */
        :: word[ASLEEP] != 0 -> take_and_wake()
        :: else
        fi;
#endif
#if MUTANT == 4
        store(PROGRAM, STATE + published, QUEUED);      /* after ringing */
#endif
        published++
    :: published == taken && !retiring ->               /* outstanding == 0 */
        retiring = 1;
        break
    od;
#if MUTANT == 7
    take_and_wake();                                    /* wakes before it says why */
    store(PROGRAM, RETIRE, 1);
#else
    store(PROGRAM, RETIRE, 1);                          /* R1 */
#if MUTANT != 5
    fence(PROGRAM);                                     /* R2 */
#endif
    take_and_wake();                                    /* R3 */
#endif
    finished = 1
}

proctype worker() {
    byte head;
    bit interrupted;

again:                                                  /* next */
    if
    :: load(WORKER, TAIL) != head ->                    /* N1 */
        d_step {                                        /* E1 */
            taken = taken + (word[STATE + head] == QUEUED);
            word[STATE + head] = RUNNING
        };
        head++;
        goto again
    :: else
    fi;
    if                                                  /* N2 */
    :: load(WORKER, RETIRE) != 0 -> goto over
    :: else
    fi;
    /* Here it asks for work, if there is a backlog, and spins: further looks, which are N1. */

#if MUTANT == 1
    if                                                  /* looks, and then says that it sleeps */
    :: load(WORKER, TAIL) != head -> goto again
    :: load(WORKER, TAIL) == head && load(WORKER, RETIRE) != 0 -> goto again
    :: else
    fi;
    store(WORKER, ASLEEP, 1);
    fence(WORKER);
    goto wait;
#else
    store(WORKER, ASLEEP, 1);                           /* S1 */
#if MUTANT != 3
    fence(WORKER);                                      /* S2 */
#endif
#endif
look:                                                   /* S3 */
    if
    :: load(WORKER, TAIL) != head -> goto awake
    :: else
    fi;
#if MUTANT != 8
    if
    :: load(WORKER, RETIRE) != 0 -> goto awake
    :: else
    fi;
#endif
    if
    :: load(WORKER, ASLEEP) == 0 -> goto awake
    :: else
    fi;
wait:
#ifdef BUFFERS
    buffered[WORKER] == NOTHING;                        /* the kernel's own barrier */
#endif
    atomic {                                            /* S4 */
        if
        :: word[ASLEEP] == 1 -> sleeping = 1
        :: else
        fi
    };
    if
    :: !sleeping
#ifdef SPURIOUS
    :: atomic { sleeping && !interrupted -> interrupted = 1; sleeping = 0 }
#endif
    fi;
    goto look;
awake:
    store(WORKER, ASLEEP, 0);                           /* S5 */
    goto again;
over:
    ended = 1
}

#ifdef BUFFERS
/* The hardware: what is in a buffer becomes visible, at some time. */
proctype memory(bit me) {
end:
    do
    :: d_step { buffered[me] != NOTHING -> word[buffered[me]] = value[me]; buffered[me] = NOTHING;
                value[me] = 0 }
    od
}
#endif

init {
    bit lost_call, deaf;

    atomic {
        run program();
        run worker();
#ifdef BUFFERS
        run memory(PROGRAM);
        run memory(WORKER);
#endif
    }
    if
    :: finished && ended -> assert(taken == published)
    :: timeout ->                                       /* nobody can move: say why, then fail */
        if
        :: taken != published -> lost_call = 1
        :: else -> deaf = 1
        fi;
        assert(!lost_call);
        assert(!deaf)
    fi
}

/* Liveness, under weak fairness: every published call is taken, and a retirement heard. */
#ifdef LTL_TAKEN
ltl taken_all { [] (published > 0 -> <> (taken == published)) && <> (ended) }
#endif
