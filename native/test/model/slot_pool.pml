/* The free slots of a core: native/queue/slot_pool.h, a tagged stack, access by access. */

#define SLOTS 3
#define THREADS 2
#ifndef STEPS
#define STEPS 4 /* pops and pushes a thread */
#endif
#define NONE 255
#define bit(s) (1 << (s))

byte head = 0, tag; /* the two halves of SlotPool::head_ */
byte inbox_next[SLOTS] = { 1, 2, NONE }; /* Descriptor::inbox_next */
bool held[SLOTS]; /* ghosts */
byte held_count, ended;

active [THREADS] proctype thread() {
  byte seen, seen_tag, next, slot, steps, mine;
  do
  :: steps < STEPS ->
    steps++;
    if
    :: true -> /* pop() */
      d_step { seen = head; seen_tag = tag }; /* model: pool.pop.look */
      do
      :: seen == NONE -> break
      :: seen != NONE ->
        next = inbox_next[seen]; /* model: pool.pop.next */
        if
#ifdef BUG_POOL_NO_TAG
        :: atomic { head == seen -> head = next }
#else
        :: atomic { head == seen && tag == seen_tag -> head = next; tag++ } /* model: pool.pop */
#endif
          d_step {
            assert(!held[seen]); /* a slot has one tenant */
            held[seen] = true;
            held_count++;
            mine = mine | bit(seen)
          };
          break
#ifdef BUG_POOL_NO_TAG
        :: atomic { head != seen -> seen = head }
#else
        :: atomic { !(head == seen && tag == seen_tag) -> seen = head; seen_tag = tag }
#endif
        fi
      od
    :: mine != 0 -> /* push(): the lowest or the highest of those it holds */
      if
      :: slot = (mine & 1 -> 0 : (mine & 2 -> 1 : 2))
      :: slot = (mine & 4 -> 2 : (mine & 2 -> 1 : 0))
      fi;
      d_step { mine = mine & ~bit(slot); held[slot] = false; held_count--; seen = head; seen_tag = tag };
      do
      :: inbox_next[slot] = seen; /* model: pool.push.link */
        if
        :: atomic { head == seen && tag == seen_tag -> head = slot; tag++; break } /* model: pool.push */
        :: atomic { !(head == seen && tag == seen_tag) -> seen = head; seen_tag = tag }
        fi
      od
    fi;
    skip;
    d_step { seen = 0; seen_tag = 0; next = 0; slot = 0 }
  :: else -> break
  od;
  skip;
  d_step {
    ended++;
    if
    :: ended == THREADS -> /* what nobody holds is in the pool, each once */
      seen = head;
      next = 0;
      do
      :: seen != NONE -> assert(!held[seen] && next < SLOTS); next++; seen = inbox_next[seen]
      :: else -> break
      od;
      assert(next + held_count == SLOTS)
    :: else
    fi
  }
}
