package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * How a transposed convolution computes what a node asks for: libtorch takes as much off both sides
 * of the output; what is to go besides is cut off afterwards.
 *
 * @param cutBefore what is cut off the beginning of each spatial dimension
 * @param cutAfter what is cut off its end
 */
record TransposedWindow(
        List<Long> strides,
        List<Long> dilations,
        List<Long> padding,
        List<Long> outputPadding,
        List<Long> cutBefore,
        List<Long> cutAfter) {
    static TransposedWindow of(Call call, List<Long> kernel) {
        int rank = kernel.size();
        List<Long> strides = Window.orOnes(call, "strides", rank);
        List<Long> dilations = Window.orOnes(call, "dilations", rank);
        List<Long> wanted = call.node.integers("output_padding");
        String auto = call.node.text("auto_pad", "NOTSET");
        List<Long> pads = call.node.integers("pads");
        List<Long> shape = call.node.integers("output_shape");
        List<Long> padding = new ArrayList<>();
        List<Long> more = new ArrayList<>();
        List<Long> cutBefore = new ArrayList<>();
        List<Long> cutAfter = new ArrayList<>();
        for (int i = 0; i < rank; i++) {
            long outputPadding = wanted.isEmpty() ? 0 : wanted.get(i);
            long reach = (kernel.get(i) - 1) * dilations.get(i) + 1;
            long before;
            long after;
            if (!shape.isEmpty() || Window.isSame(auto)) {
                long total;
                if (shape.isEmpty()) {
                    total = reach + outputPadding - strides.get(i);
                } else {
                    long length = call.length(0, i + 2);
                    long out = shape.get(shape.size() - rank + i);
                    total = strides.get(i) * (length - 1) + outputPadding + reach - out;
                }
                if (total < 0) {
                    outputPadding -= total;
                    total = 0;
                }
                before = Window.putsMoreAfter(auto) ? total / 2 : total - total / 2;
                after = total - before;
            } else {
                before = pads.isEmpty() ? 0 : pads.get(i);
                after = pads.isEmpty() ? 0 : pads.get(rank + i);
            }
            long both = Math.min(before, after);
            padding.add(both);
            more.add(outputPadding);
            cutBefore.add(before - both);
            cutAfter.add(after - both);
        }
        return new TransposedWindow(strides, dilations, padding, more, cutBefore, cutAfter);
    }

    /** What is left of the output. */
    Value cut(Call call, Value full) {
        Value rest = full;
        for (int i = 0; i < strides.size(); i++) {
            if (cutBefore.get(i) > 0 || cutAfter.get(i) > 0) {
                Map<String, Object> range = new HashMap<>(Map.of("dim", i + 2));
                range.put("start", cutBefore.get(i));
                if (cutAfter.get(i) > 0) {
                    range.put("end", -cutAfter.get(i));
                }
                rest = call.apply(GraphOperator.SLICE, range, rest);
            }
        }
        return rest;
    }
}
