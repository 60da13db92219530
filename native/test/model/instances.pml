/* Environments, instances of a synchronous engine, and leaders that run nothing: how a request finds a thread.
 * native/queue/parking.h with enqueue, try_form, form, drop_all_dead, hand_over and port_closed of model_core.cc and
 * the loop of instance.cc.
 *
 * Each environment submits its requests, may abort queued ones and compact the queue as it does (ABORTS), then waits
 * for its results or goes at once (LEAVES). The last one to go ends the instances. The timekeeper takes the token at
 * any time (TICKS).
 *
 * A step is one access to shared memory in program order, or several where nothing in between can tell: inbox push and
 * take and try_lock are one step each (inbox.pml has them access by access), the leader's backlog and epoch go with its
 * unlock (whoever looks at them has seen the token free), the wake of a place is one, the reset of its word goes with
 * its bit.
 * Where the code relies on seq_cst (my store, then my load of what they stored) the line says "Dekker"; a seeded bug
 * lets the store become visible late, as a store buffer does.
 * Spinning before parking is left out: it only looks at what the look after prepare() sees as well. */

#ifndef INSTANCES
#define INSTANCES 2
#endif
#ifndef PORTS
#define PORTS 2
#endif
#ifndef EACH
#define EACH 1 /* requests an environment */
#endif
#define REQUESTS (PORTS * EACH)
#ifndef CAPACITY
#define CAPACITY 1 /* rows of a batch; all requests have one row. 2: a batch of one waits for company */
#endif
#ifndef TICKS
#define TICKS 0 /* how often the timekeeper may lead */
#endif
#ifndef ABORTS
#define ABORTS 0
#endif
#ifndef LEAVES
#define LEAVES 0
#endif
#ifndef LONG
#define LONG 0 /* runs take as long as a request is queued: an idle instance must come for it. For two requests */
#endif
#define NONE 255
#define ALL_INSTANCES ((1 << INSTANCES) - 1)
#define bit(i) (1 << (i))

mtype = { IDLE, QUEUED, RUNNING, ENDED, CANCELLED };

mtype phase[REQUESTS] = IDLE;
chan inbox = [REQUESTS + 1] of { byte };
chan queue = [REQUESTS + 1] of { byte };   /* RequestQueue: leader only */
bool token;                                /* LeaderToken::held_ */
byte parked;                               /* Parking::parked_ */
bit word[INSTANCES];                       /* Parking::places_[].word */
bit asleep[INSTANCES];                     /* in the kernel, on the futex of the word */
byte backlog;
byte epoch_moved; /* ModelCore::epoch_ as each instance sees it; bit i: a leader was at work since instance i led */
bool stopping;
byte open_ports = PORTS;
bool delay_until; /* a batch waits for company */
short rows_wanted;
bool time_is_up;  /* the delay of the waiting batch has passed */

byte leaders, finished_count, stopped, gone; /* ghosts */
bool finished[REQUESTS];                     /* the native side is done with it */

inline locked_it() { leaders++; assert(leaders == 1) } /* the token has one holder */

inline finish(r) { /* port_finished: each request exactly once */
  assert(!finished[r]);
  finished[r] = true;
  finished_count++
}
/* Leader: the queue is its own. */
inline drain_and_drop_dead(n, r) { /* model: core.drain_inbox */
  do :: len(inbox) > 0 -> inbox?r; queue!r :: else -> break od;
  n = len(queue);
  do
  :: n > 0 -> n--; queue?r; if :: phase[r] == QUEUED -> queue!r :: else -> finish(r) fi /* model: core.drop_dead */
  :: else -> break
  od;
  r = 0
}
inline unlock(others) {
  d_step { /* model: core.publish, token.unlock (Dekker: then it looks for parked instances) */
    backlog = len(queue);
    epoch_moved = (epoch_moved | ALL_INSTANCES) & (others);
    leaders--;
    token = false
  }
}

/* Parking::wake_one: the lowest-numbered parked instance. */
inline wake_one(place) {
  if
  :: d_step { parked == 0 -> skip } /* model: parking.wake_one.look */
  :: d_step { parked != 0 -> place = (parked & 1 -> 0 : (parked & 2 -> 1 : 2)); parked = parked & ~bit(place) }; /* model: parking.wake_one */
#ifdef BUG_PARKING_NO_FUTEX_WAKE
    d_step { word[place] = 1; place = 0 }
#else
    d_step { word[place] = 1; asleep[place] = 0; place = 0 } /* model: parking.wake_one.word */
#endif
  fi
}

inline drop_all_dead(n, place) {
  d_step { drain_and_drop_dead(n, place); place = 0 }; /* model: core.drop_all_dead */
#if CAPACITY > 1
  if :: len(queue) == 0 -> delay_until = false :: else fi;
#endif
  unlock(ALL_INSTANCES)
}

inline hand_over(place) {
#ifndef BUG_TOKEN_NO_HAND_OVER
  if
  :: backlog != 0 -> wake_one(place) /* model: hand_over.look */
  :: backlog == 0 ->
    if
    :: len(inbox) > 0 -> wake_one(place)
    :: len(inbox) == 0
    fi
  fi
#else
  skip
#endif
}

proctype instance(byte i) {
  byte r, n, place, first = NONE, second = NONE;
  bool timer, again;
  do
  :: stopping -> break /* model: instance.stopping */
  :: !stopping ->
    if
    :: d_step { token -> epoch_moved = epoch_moved | bit(i); again = false; timer = false } /* model: try_form.busy */
    :: d_step { !token -> token = true; locked_it(); again = false; timer = false }; /* model: token.try_lock, instance.try_form */
      d_step { drain_and_drop_dead(n, r) }; /* model: form.offer */
      if
      :: len(queue) == 0 -> delay_until = false
#if CAPACITY > 1
      :: len(queue) > 0 && len(queue) < CAPACITY && !time_is_up ->
        d_step { rows_wanted = CAPACITY - len(queue); timer = true }; /* model: form.rows_wanted */
        delay_until = true /* model: form.delay_until */
      :: len(queue) >= CAPACITY || (len(queue) > 0 && time_is_up) ->
        delay_until = false; /* model: form.delay_over */
#else
      :: len(queue) > 0 ->
#endif
        d_step { /* model: form.run */
          queue?r;
          if :: phase[r] == QUEUED -> phase[r] = RUNNING; first = r :: else -> finish(r) fi;
#if CAPACITY > 1
          if
          :: len(queue) > 0 -> queue?r; if :: phase[r] == QUEUED -> phase[r] = RUNNING; second = first; first = r :: else -> finish(r) fi
          :: else
          fi;
#endif
          r = 0;
          again = (first == NONE && second == NONE); /* wake_ns == now: all of them were cancelled */
          time_is_up = false
        }
      fi;
#ifndef BUG_TOKEN_LOOKS_BEFORE_UNLOCK
      unlock(~bit(i));
#endif
      if
      :: d_step { (first != NONE && backlog > 0) || len(inbox) > 0 -> skip }; wake_one(place) /* model: try_form.wake_more */
      :: else
      fi
#ifdef BUG_TOKEN_LOOKS_BEFORE_UNLOCK
      ;unlock(~bit(i))
#endif
    fi;
    if
    :: first != NONE || second != NONE ->
      do /* Batch::run, end_requests */
      :: d_step { first != NONE && (!LONG || (phase[0] != QUEUED && phase[REQUESTS - 1] != QUEUED)) -> if :: phase[first] == RUNNING -> phase[first] = ENDED :: else fi; finish(first); first = NONE } /* model: batch.end */
      :: d_step { first == NONE && second != NONE -> first = second; second = NONE }
      :: first == NONE && second == NONE -> break
      od
    :: first == NONE && second == NONE && again
    :: first == NONE && second == NONE && !again ->
#ifdef BUG_PARKING_LOOKS_FIRST
      again = len(inbox) > 0;
      d_step { word[i] = 0; parked = parked | bit(i) };
      again = again || stopping;
#else
      d_step { word[i] = 0; parked = parked | bit(i) }; /* model: parking.prepare (Dekker: then all the looks below) */
      again = stopping || len(inbox) > 0; /* model: instance.look.inbox */
#ifndef BUG_TOKEN_NO_LOOK
      if
      :: again || token /* model: instance.look.token: that leader looks for parked instances when it is done */
      :: !again && !token ->
        again = (epoch_moved & bit(i)) && backlog > 0 /* model: instance.look.epoch */
      fi;
#endif
#endif
      if
      :: again -> d_step { parked = parked & ~bit(i) } /* model: parking.cancel */
      :: !again ->
#ifdef BUG_PARKING_RESETS_LATE
        word[i] = 0;
#endif
        d_step { if :: word[i] == 0 -> asleep[i] = 1 :: else fi }; /* model: futex.wait: the kernel compares */
        if
        :: !asleep[i]
        :: d_step { timer && time_is_up && asleep[i] -> asleep[i] = 0 } /* model: parking.wait.timer */
        fi;
        d_step { parked = parked & ~bit(i) } /* model: parking.wait */
      fi
    fi
  od;
  stopped++
}

#ifdef BUG_PARKING_RELAXED_PUSH
/* The push sits in a store buffer while its thread goes on to look for parked instances. */
proctype store_buffer(byte r) { inbox!r }
#define push(r) run store_buffer(r)
#else
#define push(r) inbox!r
#endif

proctype environment(byte p) {
  byte r = p, n, place;
  bool wakes;
  do
  :: r < REQUESTS ->
    atomic { phase[r] = QUEUED; wakes = true; push(r) }; /* model: inbox.push (Dekker: then parking.any) */
    if
    :: parked == 0 /* model: parking.any */
    :: parked != 0 ->
#if CAPACITY > 1
      if
      :: !delay_until /* model: enqueue.delay_until */
      :: delay_until -> d_step { wakes = (rows_wanted <= 1); rows_wanted-- } /* model: enqueue.rows_wanted */
      fi;
      if
      :: !wakes
      :: wakes -> wake_one(place) /* model: enqueue.wake */
      fi
#else
      wake_one(place)
#endif
    fi;
    if
    :: skip
    :: d_step { ABORTS && phase[r] == QUEUED -> phase[r] = CANCELLED }; /* model: core.cancelled_in_queue */
      if
      :: skip /* not many are dead yet */
      :: token
      :: d_step { !token -> token = true; locked_it() }; /* model: cancelled_in_queue.try_lock */
        drop_all_dead(n, place);
        hand_over(place) /* model: cancelled_in_queue.hand_over */
      fi
    fi;
    r = r + PORTS
  :: else -> r = p; break
  od;
  /* It waits for its results, or goes with requests on their way. */
  do
  :: r < REQUESTS && (phase[r] == ENDED || phase[r] == CANCELLED) -> r = r + PORTS
  :: d_step { LEAVES && r < REQUESTS && (phase[r] == QUEUED || phase[r] == RUNNING) -> phase[r] = CANCELLED; r = r + PORTS } /* model: close.cancel */
  :: r >= REQUESTS -> r = 0; break
  od;
  skip;
  d_step { open_ports--; wakes = (open_ports == 0); if :: wakes -> stopping = true :: else fi }; /* model: port_closed.stopping */
  d_step { !token -> token = true; locked_it() }; /* model: port_closed.token */
  drop_all_dead(n, place);
  hand_over(place); /* model: port_closed.hand_over */
#ifndef BUG_PARKING_NO_WAKE_ALL
  do
  :: wakes && parked != 0 -> wake_one(place) /* model: port_closed.wake_all */
  :: !wakes || parked == 0 -> break
  od;
#endif
  gone++
}

/* ModelCore::tick: a leader that runs nothing. */
proctype timekeeper() {
  byte r, place, ticks;
  do
  :: ticks < TICKS && !stopping ->
    ticks++;
    if
    :: token /* model: tick.busy: it comes again soon */
    :: d_step { !token -> token = true; locked_it() }; /* model: tick.try_form */
      d_step { do :: len(inbox) > 0 -> inbox?r; queue!r :: else -> break od; r = 0 };
      if
      :: skip
      :: d_step { len(queue) > 0 -> queue?r; if :: phase[r] == QUEUED -> phase[r] = ENDED :: else fi; finish(r); r = 0 } /* model: core.expire */
      fi;
#if CAPACITY > 1
      if :: len(queue) == 0 -> delay_until = false :: else fi; /* model: try_form.nobody_waits */
#endif
      unlock(ALL_INSTANCES);
      hand_over(place) /* model: try_form.hand_over */
    fi
  :: ticks >= TICKS || stopping -> break
  od
}

/* Time passes, whatever the others do. */
proctype clock() {
end:
  do
  :: d_step { delay_until && !time_is_up -> time_is_up = true }
  od
}

init {
  atomic {
    byte i = 0;
    do :: i < INSTANCES -> run instance(i); i++ :: else -> break od;
    i = 0;
    do :: i < PORTS -> run environment(i); i++ :: else -> break od;
    i = 0;
    if :: TICKS > 0 -> run timekeeper() :: else fi;
    if :: CAPACITY > 1 -> run clock() :: else fi
  }
}

/* Nothing waits for ever: every request ends, every close returns, every instance goes. */
ltl all_end { <> (finished_count == REQUESTS && stopped == INSTANCES && gone == PORTS) }
