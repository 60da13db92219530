/* Engines that complete asynchronously have no instance threads: submitters, completions and the timekeeper start
 * batches. pump, pump_all, give_back, try_form and tick of model_core.cc.
 *
 * Steps are those of instances.pml: inbox push and take, try_lock, and the leader's backlog, epoch and unlock are one
 * each. A run may also end at once, on the thread that started it; that thread's own pump() then goes on with it.
 * The epoch is a bit for each thread that pumps: some leader was at work since that thread led. */

#ifndef INSTANCES
#define INSTANCES 1
#endif
#ifndef PORTS
#define PORTS 2
#endif
#ifndef CAPACITY
#define CAPACITY 1 /* 2: a batch of one waits for company until the timekeeper comes */
#endif
#define REQUESTS PORTS
#define NONE 255
#define ALL 255
#define bit(i) (1 << (i))

chan inbox = [REQUESTS] of { byte };
chan queue = [REQUESTS] of { byte };
chan running = [INSTANCES] of { byte, byte, byte }; /* instance, first, second request */
byte free_instances = (1 << INSTANCES) - 1;
bool token;
byte backlog, epoch_moved;
bool due;        /* ModelCore::due_ns_ is set */
bool delay_until; /* a batch waits for company */
bool time_is_up;  /* and its delay has passed */

byte leaders, finished_count; /* ghosts */
bool finished[REQUESTS];
bool busy[INSTANCES];

inline finish(r) {
  if
  :: r != NONE -> assert(!finished[r]); finished[r] = true; finished_count++
  :: else
  fi
}

inline unlock(others) {
  d_step { backlog = len(queue); epoch_moved = ALL & (others); leaders--; token = false }
}

/* ModelCore::pump_all */
inline pump(me, index, r, first, second, waits) {
  do
  :: free_instances == 0 -> break /* model: pump.look */
  :: d_step { /* model: pump.claim */
       free_instances != 0 ->
       index = (free_instances & 1 -> 0 : 1);
       free_instances = free_instances & ~bit(index);
       assert(!busy[index]); /* an instance runs one batch at a time */
       busy[index] = true;
       waits = false
     };
    if
    :: d_step { token -> epoch_moved = epoch_moved | bit(me) } /* model: try_form.busy */
    :: d_step { !token -> token = true; leaders++; assert(leaders == 1) }; /* model: token.try_lock */
      d_step { /* model: core.drain_inbox */
        do :: len(inbox) > 0 -> inbox?r; queue!r :: else -> break od;
        if
        :: len(queue) >= CAPACITY || (len(queue) > 0 && time_is_up) -> /* model: form.run */
          queue?first;
          if :: CAPACITY > 1 && len(queue) > 0 -> queue?second :: else fi;
          time_is_up = false;
          delay_until = false
        :: else -> waits = len(queue) > 0; delay_until = waits
        fi;
        r = 0
      };
      d_step { backlog = len(queue); epoch_moved = (epoch_moved | ALL) & ~bit(me); leaders--; token = false } /* model: token.unlock, core.publish */
    fi;
    if
    :: first != NONE ->
      if
      :: atomic { running!index, first, second; first = NONE; second = NONE } /* model: pump.run */
      :: d_step { finish(first); finish(second); first = NONE; second = NONE; busy[index] = false; free_instances = free_instances | bit(index) }
      fi
    :: else ->
      d_step { busy[index] = false; free_instances = free_instances | bit(index) }; /* model: pump.return (Dekker: then looks again) */
      if
      :: waits ->
#ifndef BUG_PUMP_NO_TICK
        due = true; /* model: pump.tick */
#endif
        waits = false
      :: else
      fi;
#ifdef BUG_PUMP_NO_LOOK
      break
#else
      if
      :: token -> break /* model: pump.look.token: whoever holds it goes on itself */
      :: !token ->
        if
        :: len(inbox) > 0 /* model: pump.look.inbox */
        :: len(inbox) == 0 ->
          if
          :: d_step { (epoch_moved & bit(me)) && backlog > 0 -> skip } /* model: pump.look.backlog */
          :: else -> break
          fi
        fi
      fi
#endif
    fi
  od;
  index = 0
}

proctype environment(byte p) {
  byte index, r, first = NONE, second = NONE;
  bool waits;
  inbox!p; /* model: inbox.push (Dekker: then looks for free instances) */
  pump(p, index, r, first, second, waits) /* model: enqueue.pump */
}

/* A thread of the engine, in its completions. */
proctype engine(byte me) {
  byte index, r, first = NONE, second = NONE;
  bool waits;
end:
  do
  :: atomic { running?index, first, second; finish(first); finish(second); first = NONE; second = NONE }; /* model: batch.done */
    d_step { busy[index] = false; free_instances = free_instances | bit(index) }; /* model: pump.give_back (Dekker: then pumps) */
    pump(me, index, r, first, second, waits)
  od
}

proctype timekeeper(byte me) {
  byte index, r, first = NONE, second = NONE;
  bool waits;
end:
  do
  :: d_step { due && time_is_up -> due = false }; /* model: tick.due */
    if
    :: token -> due = true /* model: tick.busy: it comes again soon */
    :: d_step { !token -> token = true; leaders++; assert(leaders == 1) }; /* model: tick.try_form */
      d_step { do :: len(inbox) > 0 -> inbox?r; queue!r :: else -> break od; r = 0 };
      unlock(ALL);
    fi;
    pump(me, index, r, first, second, waits) /* model: tick.pump */
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
    do :: i < PORTS -> run environment(i); i++ :: else -> break od;
    i = 0;
    run engine(PORTS);
    if :: CAPACITY > 1 -> run timekeeper(PORTS + 1); run clock() :: else fi
  }
}

/* Every request ends: nobody leaves it to somebody who has gone. */
ltl all_run { <> (finished_count == REQUESTS) }
