"""Which layer hurts: the error of every quantised layer, and what the worst ones do to the result."""

import time

import numpy as np
import onnx
from onnx import numpy_helper

from .measure import Difference, Reference
from .model_file import session
from .static_int8 import quantise, quantised_nodes

# They move numbers and compute none.
MOVERS = {
    "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Split", "Slice", "Pad", "Gather", "MaxPool", "Relu", "Clip",
    "DepthToSpace",
}  # fmt: skip


def layer_errors(model, quantised, settings, rows, batch, count, events):
    """One entry a layer, in the order of the graph: of its output against FP32, and of its weights.

    `sqnrDb` is what has gathered up to here, `addedNoise` what this layer adds to it (noise by signal).
    """
    there = {output for node in model.graph.node for output in node.output}
    found = quantised_nodes(quantised, settings)
    pairs = {}
    for node in quantised.graph.node:
        if node.name in found and node.op_type not in MOVERS:
            pair = _output_pair(quantised, node, there)
            if pair is not None:
                pairs[node.name] = pair
    plain = _with_outputs(model, {name for name, _ in pairs.values()})
    with_pairs = _with_outputs(quantised, {name for _, name in pairs.values()})
    first, second = session(plain, "none"), session(with_pairs, "none")
    gaps = {name: Difference() for name in pairs}
    total = -(-min(count, rows.count) // batch)
    for done, feed in enumerate(rows.feeds(batch, count), 1):
        wanted = _by_name(first, feed, {name for name, _ in pairs.values()})
        got = _by_name(second, feed, {name for _, name in pairs.values()})
        for name, (one, other) in pairs.items():
            gaps[name].add(wanted[one], got[other])
        events.progress("layers", done, total)
    return _entries(model, quantised, pairs, gaps)


def _entries(model, quantised, pairs, gaps):
    by_output = {output: node.name for node in model.graph.node for output in node.output}
    inputs = {node.name: list(node.input) for node in model.graph.node}
    ops = {node.name: node.op_type for node in model.graph.node}
    weights = _weight_errors(model, quantised)

    def noise_before(name):
        """The largest share of noise among what the layer takes, through operators that are no layers."""
        seen, stack, worst = set(), list(inputs.get(name, [])), 0.0
        while stack:
            maker = by_output.get(stack.pop())
            if maker is None or maker in seen:
                continue
            seen.add(maker)
            if maker in gaps:
                worst = max(worst, gaps[maker].share)
            else:
                stack.extend(inputs[maker])
        return worst

    return [
        {
            "name": name,
            "op": ops[name],
            "sqnrDb": gaps[name].decibels,
            "maxAbs": gaps[name].largest,
            "addedNoise": max(0.0, gaps[name].share - noise_before(name)),
            **({"weightSqnrDb": weights[name]} if name in weights else {}),
        }
        for name in (node.name for node in model.graph.node)
        if name in pairs
    ]


def _output_pair(quantised, node, there):
    """Names of a layer's output: in the float model, and in the quantised one as the next layers get it."""
    output = node.output[0]
    after = output
    takers = [each for each in quantised.graph.node if output in each.input]
    pair = next((each for each in takers if each.op_type == "QuantizeLinear"), None)
    if pair is not None:
        last = next((each for each in quantised.graph.node if pair.output[0] in each.input), None)
        if last is not None and last.op_type == "DequantizeLinear":
            after = last.output[0]
    # The quantiser gives an output of the graph another name in front of its pair.
    plain = output if output in there else after
    return (plain, after) if plain in there else None


def _with_outputs(model, names):
    made = onnx.ModelProto()
    made.CopyFrom(model)
    there = {output.name for output in made.graph.output}
    made.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(names - there))
    return made


def _by_name(run, feed, names):
    listed = sorted(names)
    return dict(zip(listed, run.run(listed, feed)))


def _weight_errors(model, quantised):
    """SQNR of the weights of each layer that has some, as its INT8 numbers stand for them."""
    plain = {tensor.name: tensor for tensor in model.graph.initializer}
    constants = {tensor.name: tensor for tensor in quantised.graph.initializer}
    makers = {output: node for node in quantised.graph.node for output in node.output}
    originals = {node.name: node for node in model.graph.node}
    errors = {}
    for node in quantised.graph.node:
        original = originals.get(node.name)
        if original is None or original.op_type in MOVERS or len(original.input) < 2 or original.input[1] not in plain:
            continue
        maker = makers.get(node.input[1])
        if maker is None or maker.op_type != "DequantizeLinear":
            continue
        weight = numpy_helper.to_array(plain[original.input[1]])
        gap = Difference()
        gap.add(weight, _dequantised(maker, weight, constants))
        errors[node.name] = gap.decibels
    return errors


def _dequantised(maker, weight, constants):
    scale = numpy_helper.to_array(constants[maker.input[1]])
    axis = next((attribute.i for attribute in maker.attribute if attribute.name == "axis"), 1)
    if scale.size > 1:
        scale = scale.reshape([-1 if at == axis % weight.ndim else 1 for at in range(weight.ndim)])
    else:
        scale = scale.reshape(())
    if maker.input[0] in constants:
        return numpy_helper.to_array(constants[maker.input[0]]).astype(np.float32) * scale
    # Weights with a whole pair: what QuantizeLinear makes of them.
    return np.clip(np.rint(weight / scale), -128, 127) * scale


def sensitivity(model, ranges, settings, exclude, layers, rows, batch, limits, events):
    """What single layers do to the result, those first that add most noise, until the time is up.

    `alone`: only this layer is quantised. `without`: all but this one are. `suggested`: those whose absence helps most,
    measured together.
    """
    count, most, seconds = limits["rows"], limits["layers"], limits["seconds"]
    reference = Reference(model, rows, batch, count)
    end = time.monotonic() + seconds
    whole = reference.compare(quantise(model, ranges, settings, exclude))
    worst = sorted(layers, key=lambda layer: layer["addedNoise"], reverse=True)[:most]
    total, done = 2 * len(worst), 0
    for layer in worst:
        for field in ("alone", "without"):
            if time.monotonic() > end:
                events.note(f"single layers were measured for {seconds} s: {done} of {total} runs")
                return {"whole": whole, "suggested": _suggested(layers, whole, None)}
            left = {"only": [layer["name"]]} if field == "alone" else {"exclude": [*exclude, layer["name"]]}
            layer[field] = reference.compare(quantise(model, ranges, settings, **left))
            done += 1
            events.progress("sensitivity", done, total)
    together = lambda names: reference.compare(quantise(model, ranges, settings, [*exclude, *names]))  # noqa: E731
    return {"whole": whole, "suggested": _suggested(layers, whole, together)}


# Leaving out a layer is worth a word when the noise of the result falls by this much, and when there is something to win.
WORTH_DECIBELS = 1.0
GOOD_AGREEMENT, GOOD_DECIBELS = 0.995, 30.0


def _suggested(layers, whole, together):
    good = whole["agreement"] >= GOOD_AGREEMENT if "agreement" in whole else False
    if good or whole["sqnrDb"] is None or ("agreement" not in whole and whole["sqnrDb"] >= GOOD_DECIBELS):
        return None
    gains = [
        (layer["without"]["sqnrDb"] - whole["sqnrDb"], layer["name"])
        for layer in layers
        if "without" in layer and layer["without"]["sqnrDb"] is not None
    ]
    names = [name for gain, name in sorted(gains, reverse=True) if gain >= WORTH_DECIBELS][:3]
    if not names:
        return None
    found = {"exclude": names}
    if together is not None:
        found["outputs"] = together(names)
    return found
