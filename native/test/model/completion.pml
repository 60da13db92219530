/* The way back: native threads put record numbers into the ring of a port, wake its environment behind the gate, and
 * the environment drains, polls for a while and, in the end, closes. native/queue/completion_ring.h, native/queue/wake_gate.h, Port::take,
 * Port::look, Port::wake and Port::close of port.cc, and the handle of the event loop that they wake.
 *
 * A step is one access to shared memory in program order. Where the code relies on seq_cst (my store, then my load of
 * what they stored) the line says "Dekker"; a seeded bug lets the store become visible late, as a store buffer does.
 * Relaxed stores of `armed` by the consumer may also stay invisible until its next one: a choice of the model. */

#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef EACH
#define EACH 2 /* completions a producer; its record is used again once the environment retired it */
#endif
#ifndef CLOSES
#define CLOSES 1 /* whether the environment may go before it has read everything */
#endif
#ifndef SUBMITS
#define SUBMITS 1 /* that may begin to poll */
#endif
#define CAPACITY 2 /* bit_ceil(records) */
#define ALL (PRODUCERS * EACH)
#define NONE 255

/* CompletionRing: a cell holds lap and record; positions count up, so that laps are seen to differ. */
byte cell_lap[CAPACITY];
byte cell_record[CAPACITY] = NONE;
byte tail, head_position;
bool armed = true;
#define lap(position) ((position) / CAPACITY + 1)

/* WakeGate::state_ */
bool gate_closed;
byte inside;

/* LoopWake: calls that the event loop has still to make. */
byte calls;
bool released;

bool in_ring[PRODUCERS]; /* ghosts: record numbers that are somewhere between push and retire */
byte taken_count, ended;
bool left_unread;

#ifdef BUG_RING_RELAXED_PUSH
/* The cell sits in a store buffer while its thread goes on to look at `armed`. */
proctype store_buffer(byte position; byte record) {
  d_step { cell_lap[position % CAPACITY] = lap(position); cell_record[position % CAPACITY] = record }
}
#endif

inline wake(claimed) {
  /* claim_wake() */
  if
  :: !armed /* model: ring.claim_wake.look */
  :: armed ->
    atomic { claimed = armed; armed = false }; /* model: ring.claim_wake */
    if
    :: claimed ->
      claimed = false;
#ifdef BUG_GATE_LOOKS_FIRST
      if
      :: gate_closed
      :: !gate_closed ->
        inside++;
        assert(!released);
        calls++;
        inside--
      fi
#else
      atomic { inside++; claimed = gate_closed }; /* model: gate.enter (Dekker: one fetch_add both counts and looks) */
      if
      :: claimed -> claimed = false
      :: !claimed -> d_step { assert(!released); if :: calls < 2 -> calls++ :: else fi } /* model: port.wake: no call after the gate closed */
      fi;
      inside-- /* model: gate.leave */
#endif
    :: !claimed
    fi
  fi
}

proctype producer(byte record) {
  byte position, count;
  bool claimed;
  do
  :: count < EACH && !in_ring[record] ->
    in_ring[record] = true;
    atomic { position = tail; tail++ }; /* model: ring.push.claim */
#ifdef BUG_RING_RELAXED_PUSH
    run store_buffer(position, record);
#else
    d_step { /* model: ring.push (Dekker: then looks at armed) */
      assert(position < head_position + CAPACITY); /* the ring never overflows */
      cell_lap[position % CAPACITY] = lap(position);
      cell_record[position % CAPACITY] = record
    };
#endif
    wake(claimed);
    d_step { position = 0; count++ }
  :: count < EACH && left_unread -> break /* its environment is gone */
  :: count == EACH -> break
  od;
  ended++
}

#define ready (cell_lap[head_position % CAPACITY] == lap(head_position))

/* CompletionRing::arm(): found when something came meanwhile. */
inline arm() {
#ifdef BUG_RING_LOOKS_BEFORE_ARM
  if
  :: ready -> due = true
  :: else -> armed = true
  fi
#else
  armed = true; /* model: ring.arm (Dekker: then looks at the cell) */
  if
  :: ready -> /* model: ring.arm.look */
    if
    :: armed = false /* model: ring.arm.disarm */
    :: skip /* not visible yet */
    fi;
    due = true
  :: else
  fi
#endif
}

inline disarm() {
  if
  :: armed = false /* model: ring.disarm */
  :: skip /* not visible yet */
  fi
}

proctype environment() {
  byte taken = NONE, submits;
  bool due, polling;
  do
  :: due ->
    /* Port::take: retire, disarm, take, and arm if there was nothing. */
    due = false;
    disarm();
    do
    :: d_step { ready -> /* model: ring.take */
         taken = cell_record[head_position % CAPACITY];
         assert(in_ring[taken]); /* what was pushed, once */
         head_position++
       };
       d_step { in_ring[taken] = false; taken = NONE; taken_count++ } /* model: port.retire */
    :: else -> break
    od;
    if
    :: polling /* model: port.take.polling: nothing is armed, the next turn of the loop looks */
    :: else -> arm()
    fi
  :: !due && calls > 0 -> d_step { calls--; due = true }
  :: !due && polling ->
    if
    :: ready -> due = true /* model: ring.ready */
    :: else ->
      if
      :: taken_count < ALL -> skip /* something is in flight: it looks again in the next turn */
      :: polling = false; /* model: port.look.sleep: it has looked for long enough, or nothing is in flight */
#ifndef BUG_POLL_ENDS_UNARMED
        arm()
#endif
      fi
    fi
  :: !due && !polling && submits < SUBMITS -> /* few: nothing may depend on another submit */
    d_step { submits++; polling = true }; /* model: port.poll: a submit finds that it pays */
    disarm()
  :: taken_count == ALL -> break
  :: CLOSES && taken_count < ALL -> left_unread = true; break
  od;
  gate_closed = true; /* model: gate.close (Dekker: then waits for those who were inside) */
#ifndef BUG_GATE_DOES_NOT_WAIT
  inside == 0; /* model: gate.close.wait */
#endif
  released = true; /* model: port_object.release: LoopWake::close */
  ended++
}

init {
  atomic {
    byte i = 0;
    do :: i < PRODUCERS -> run producer(i); i++ :: else -> break od;
    i = 0;
    run environment()
  }
}

/* A completion always leads to a drain, and close() always returns. */
ltl drained { <> ((taken_count == ALL || left_unread) && ended == PRODUCERS + 1) }
