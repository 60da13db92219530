// Finds where a request belongs in a list that is ordered by due time: a treap (Seidel and Aragon, Algorithmica 16,
// 1996) over the slots of one list. Logarithmic also where budgets differ widely; no memory but a node for each slot.
#pragma once

#include <cstdint>

#include "memory/mapped_array.h"
#include "queue/descriptor.h"

namespace subten {

class DueIndex {
 public:
  struct Node {
    uint32_t parent, left, right;
  };

  // `before(a, b)`: whether slot `a` goes before slot `b`. Returns the slot after which `slot` comes, or kNoSlot.
  template <typename Before>
  static uint32_t insert(Node* nodes, uint32_t* root, uint32_t slot, Before before) noexcept {
    uint32_t parent = kNoSlot, predecessor = kNoSlot;
    bool to_right = false;
    for (uint32_t at = *root; at != kNoSlot;) {
      parent = at;
      to_right = !before(slot, at);
      if (to_right) predecessor = at;
      at = to_right ? nodes[at].right : nodes[at].left;
    }
    nodes[slot] = {parent, kNoSlot, kNoSlot};
    if (parent == kNoSlot) {
      *root = slot;
    } else {
      (to_right ? nodes[parent].right : nodes[parent].left) = slot;
    }
    while (nodes[slot].parent != kNoSlot && weight(slot) > weight(nodes[slot].parent)) lift(nodes, root, slot);
    return predecessor;
  }

  static void remove(Node* nodes, uint32_t* root, uint32_t slot) noexcept {
    for (;;) {
      const auto [parent, left, right] = nodes[slot];
      if (left == kNoSlot || right == kNoSlot) {
        const uint32_t child = left == kNoSlot ? right : left;
        replace(nodes, root, parent, slot, child);
        return;
      }
      lift(nodes, root, weight(left) > weight(right) ? left : right);
    }
  }

 private:
  // As good as random, and the same in every run.
  static uint32_t weight(uint32_t slot) noexcept {
    uint32_t x = (slot + 1) * 0x9E3779B1u;
    x ^= x >> 15;
    x *= 0x85EBCA77u;
    return x ^ (x >> 13);
  }
  static void replace(Node* nodes, uint32_t* root, uint32_t parent, uint32_t was, uint32_t now) noexcept {
    if (parent == kNoSlot) {
      *root = now;
    } else if (nodes[parent].left == was) {
      nodes[parent].left = now;
    } else {
      nodes[parent].right = now;
    }
    if (now != kNoSlot) nodes[now].parent = parent;
  }
  // Rotates `slot` into the place of its parent.
  static void lift(Node* nodes, uint32_t* root, uint32_t slot) noexcept {
    const uint32_t parent = nodes[slot].parent;
    const bool is_left = nodes[parent].left == slot;
    const uint32_t inner = is_left ? nodes[slot].right : nodes[slot].left;
    (is_left ? nodes[parent].left : nodes[parent].right) = inner;
    if (inner != kNoSlot) nodes[inner].parent = parent;
    replace(nodes, root, nodes[parent].parent, parent, slot);
    (is_left ? nodes[slot].right : nodes[slot].left) = parent;
    nodes[parent].parent = slot;
  }
};

}  // namespace subten
