/* The state word of a slot and everybody who changes it: native/queue/request_word.h, with the parts of port.cc,
 * batch.cc and model_core.cc that lease, submit, end, cancel, return and reap.
 *
 * Two environments share the slots of one core; each submits some requests, aborts some (also with the generation of
 * an earlier tenant), leaves some results unread, and closes its port at any point. Two native threads take requests
 * from the inbox (a channel here; inbox.pml has the real one) and run, expire or drop them.
 *
 * Every access to shared memory is one step, in program order; a compare-and-swap is one atomic step. All of them are
 * read-modify-writes of one word, so coherence of that word is all that is relied on; the one place that relies on
 * seq_cst is finished/closing, marked below. */

#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef ROUNDS_OF_SECOND
#define ROUNDS_OF_SECOND 1
#endif
#define PORTS 2
#define NATIVES 2
#define NOBODY PORTS
#define NONE 255

mtype = { IDLE, QUEUED, RUNNING, RESULT, CANCELLED, EXPIRED };

byte generation[SLOTS]; /* the four fields of RequestState::word_ */
mtype phase[SLOTS] = IDLE;
bit js[SLOTS];
byte native[SLOTS];

byte owner[SLOTS] = NOBODY;                     /* ModelCore::owners_ */
chan pool = [SLOTS + 1] of { byte };            /* SlotPool, see slot_pool.pml */
chan inbox = [SLOTS + 1] of { byte };           /* a slot that is pushed twice must not block the checker */
chan ring[PORTS] = [SLOTS + 1] of { byte };     /* CompletionRing, see completion.pml */
byte descriptor_port[SLOTS] = NOBODY;

bool closed[PORTS], left[PORTS];
byte submitted[PORTS], finished[PORTS];
byte closing;                                   /* ModelCore::closing_ */
bool ports_mutex;
bool registered[PORTS] = true;                  /* in ModelCore::ports_: alive */

/* Ghosts: what the properties are about. */
bool in_pool[SLOTS] = true;
bool returning[SLOTS]; /* somebody gives its memory back */
bool outcome[SLOTS];   /* the present tenant has ended */

#define pending(s) (phase[s] == QUEUED || phase[s] == RUNNING)

inline ends(s) {
  assert(!outcome[s]); /* a request ends exactly once */
  outcome[s] = true
}

/* model_core.cc. Whoever dropped the last hold, or closes or reaps the port that leased it. */
inline recycle_to_pool(s) {
  d_step { /* model: slot.release_extents */
    assert(!returning[s] && !in_pool[s]); /* never returned twice */
    assert(!js[s] && native[s] == 0);     /* nor while held */
    returning[s] = true
  }
  owner[s] = NOBODY; /* model: slot.disown */
  d_step { generation[s]++; phase[s] = IDLE; js[s] = 0; native[s] = 0 } /* model: word.recycle */
  d_step { /* model: slot.pool */
    assert(!in_pool[s]);
    in_pool[s] = true;
    returning[s] = false;
    assert(nfull(pool));
    pool!s
  }
}

inline drop_native(s, last) {
  d_step { /* model: word.drop_native */
    assert(native[s] == 1);
    native[s]--;
    last = !js[s]
  }
}

/* Port::mine and RequestState::cancel. */
inline cancel(p, s, g, done) {
  done = false;
  if
#ifdef BUG_WORD_ANY_GENERATION
  :: owner[s] == p ->
#else
  :: atomic { owner[s] == p && generation[s] == g -> skip } /* model: port.mine */
#endif
    if
    :: d_step { /* model: word.cancel */
#ifdef BUG_WORD_ANY_GENERATION
         pending(s) ->
#else
         generation[s] == g && pending(s) ->
#endif
         assert(generation[s] == g); /* a late abort never hits the next tenant */
         ends(s);
         phase[s] = CANCELLED;
         js[s] = 0;
         done = true
       }
#ifdef BUG_WORD_CANCEL_RETURNS
       ;recycle_to_pool(s) /* although the queue or an instance still uses the slot's memory */
#endif
    :: else
    fi
  :: else
  fi
}

/* ModelCore::reap_ports: under its lock, any thread. */
inline reap_ports(q, s) {
  atomic { !ports_mutex -> ports_mutex = true; q = 0 }
  do
  :: atomic { q < PORTS && !(registered[q] && left[q]) -> q++ } /* model: port.reapable */
  :: atomic { q < PORTS && registered[q] && left[q] -> skip };
    if
    :: atomic { finished[q] != submitted[q] -> q++ }
    :: atomic { finished[q] == submitted[q] -> s = 0 };
      do
      :: atomic { s < SLOTS && owner[s] != q -> s++ }
      :: atomic { s < SLOTS && owner[s] == q -> skip };
        d_step { /* model: word.drop_js.reap */
          if :: !pending(s) -> js[s] = 0 :: else fi
        }
        recycle_to_pool(s);
        s++
      :: atomic { s == SLOTS -> s = 0; break }
      od;
      atomic { registered[q] = false; closing--; q++ } /* model: port.reap */
    fi
  :: atomic { q == PORTS -> q = 0; break }
  od;
  ports_mutex = false
}

/* ModelCore::port_finished. The order is the point: seq_cst on both, against close(), which raises `closing` first and
 * looks at `finished` afterwards. */
inline port_finished(p, q, s) {
#ifdef BUG_WORD_CLOSING_FIRST
  if
  :: closing != 0 -> finished[p]++; reap_ports(q, s)
  :: else -> finished[p]++ /* a load that passes an earlier relaxed add */
  fi
#else
  d_step { assert(registered[p]); finished[p]++ } /* model: port.finished */
  if
  :: closing != 0 -> reap_ports(q, s) /* model: port.closing.look */
  :: else
  fi
#endif
}

active [NATIVES] proctype instance() {
  byte slot, p, q, s;
  bool last, done;
end:
  do
  :: atomic { inbox?slot; p = descriptor_port[slot] };
    done = false;
    if
    :: d_step { phase[slot] == QUEUED -> phase[slot] = RUNNING } /* model: word.run */
      assert(native[slot] == 1); /* the engine works on memory that is held */
#ifdef BUG_WORD_END_STORES
      if
      :: pending(slot) -> d_step { ends(slot); phase[slot] = RESULT; native[slot]--; done = true }
      :: else
      fi
#else
      if
      :: d_step { pending(slot) -> ends(slot); phase[slot] = RESULT; native[slot]--; done = true } /* model: word.end */
      :: else
      fi
#endif
    :: d_step { pending(slot) -> ends(slot); phase[slot] = EXPIRED; native[slot]--; done = true } /* model: word.expire */
    :: phase[slot] == CANCELLED -> skip /* drop_dead, or it was cancelled between two looks */
    fi;
    if
    :: done -> d_step { assert(registered[p] && nfull(ring[p])); ring[p]!slot } /* model: batch.push */
    :: else ->
#ifdef BUG_WORD_FINISHED_FIRST
      port_finished(p, q, s);
      drop_native(slot, last);
      if :: last -> recycle_to_pool(slot) :: else fi;
      goto next
#endif
      drop_native(slot, last);
      if :: last -> recycle_to_pool(slot) :: else fi /* model: slot.return */
    fi;
    port_finished(p, q, s);
next: skip;
    d_step { slot = 0; p = 0; last = false; done = false }
  od
}

/* Port::retire_one, Port::release: the js hold of an ended request. */
inline drop_js(s, g) {
  d_step { /* model: word.drop_js */
    assert(generation[s] == g && js[s] && !pending(s));
    js[s] = 0;
    assert(native[s] == 0) /* the native hold went with the outcome, so the environment is last */
  };
  d_step { assert(!returning[s]); generation[s]++; phase[s] = IDLE } /* model: word.recycle.lease */
}

proctype environment(byte p) {
  byte slot, g, old = NONE, rounds, q, s, seen_generation;
  mtype seen;
  bool have, done, seen_held;
  do
  :: rounds < (p == 0 -> ROUNDS : ROUNDS_OF_SECOND) ->
    rounds++;
    if
    :: have
    :: !have && nempty(pool) -> /* model: port.lease */
      atomic { if :: pool?slot -> assert(in_pool[slot]); in_pool[slot] = false; have = true :: empty(pool) -> break fi };
      owner[slot] = p;
      g = generation[slot]
    :: !have && empty(pool) -> break /* or it would be told QUEUE_FULL */
    fi;
    d_step { /* model: word.submit */
      assert(owner[slot] == p && generation[slot] == g && phase[slot] == IDLE && !js[slot] && native[slot] == 0);
      phase[slot] = QUEUED;
      js[slot] = 1;
      native[slot] = 1;
      descriptor_port[slot] = p;
      outcome[slot] = false
    };
    submitted[p]++;
    assert(nfull(inbox));
    inbox!slot;
    do
    :: old != NONE -> cancel(p, slot, old, done); old = NONE /* an abort that comes late */
    :: cancel(p, slot, g, done);
      if
      :: done -> have = false; old = NONE; break
      :: else -> ring[p]?slot; goto drained
      fi
    :: ring[p]?slot ->
drained:
      if
      :: phase[slot] == RESULT -> /* an explicit slot keeps its result until it is released */
        if :: goto leave :: skip fi
      :: skip
      fi;
      drop_js(slot, g);
      old = g;
      g++;
      break
    :: goto leave /* with the request on its way, or its record unread */
    od
  :: break
  od;
leave: skip;
  /* Port::close */
  d_step { slot = 0; g = 0; old = NONE; rounds = 0; have = false; done = false };
  closing++; /* model: port.closing */
  closed[p] = true; /* model: port.close */
  do
  :: slot < SLOTS ->
    done = false;
#ifdef BUG_WORD_CLOSE_OWNER_FIRST
    if
    :: owner[slot] == p ->
      d_step { seen = phase[slot]; seen_held = js[slot] || native[slot]; seen_generation = generation[slot] };
      done = true
    :: else
    fi;
    if
    :: !done
    :: done && !(seen == QUEUED || seen == RUNNING) && !seen_held -> done = false; recycle_to_pool(slot)
#else
    /* The word first. Idle and ours: nobody else can return it. Ended and without holds: whoever dropped the last
     * hold is returning it at this moment. */
    d_step { seen = phase[slot]; seen_generation = generation[slot] } /* model: close.word */
    if :: owner[slot] == p -> done = true :: else fi; /* model: close.owner */
    if
    :: !done
    :: done && seen == IDLE -> done = false; recycle_to_pool(slot) /* model: close.idle */
#endif
    :: else ->
      if
      :: seen == QUEUED || seen == RUNNING -> cancel(p, slot, seen_generation, done) /* model: close.cancel */
      :: else
      fi
    fi;
    d_step { slot++; seen = IDLE; seen_generation = 0; done = false }
  :: else -> break
  od;
  left[p] = true; /* model: port.left */
  reap_ports(q, s) /* model: port_closed.reap */
}

init {
  atomic {
    byte i = 0;
    do :: i < SLOTS -> pool!i; i++ :: else -> break od;
    run environment(0);
    run environment(1)
  }
}

/* Every request ends, every port is let go, and every slot is back. */
ltl slots_return { <> (!registered[0] && !registered[1] && len(pool) == SLOTS) }
