package io.espalier.onnx.slim;

import io.espalier.slim.Axis;
import io.espalier.slim.ChannelRules;
import io.espalier.slim.NotUnderstood;

import java.util.ArrayList;
import java.util.List;

/** Pooling, resampling and padding: each channel by itself. */
final class WindowRules {
    private WindowRules() {}

    static void addTo(Rules rules) {
        rules.standard(
                        WindowRules::pool,
                        "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool")
                .standard(WindowRules::resize, "Resize Upsample")
                .standard(WindowRules::pad, "Pad");
    }

    private static void pool(Call call) {
        if (call.gives(1)) {
            throw new NotUnderstood("places are read too");
        }
        call.pinFrom(0, 2);
        List<Axis> result = new ArrayList<>(Call.plain(call.rank(0)));
        result.set(0, call.axis(0, 0));
        result.set(1, call.axis(0, 1));
        call.give(0, result);
    }

    private static void resize(Call call) {
        for (int i = 1; i < call.operands(); i++) {
            call.pinAll(i);
        }
        long[] extents = call.resultExtents(0);
        List<Axis> result = call.axes(0);
        int sizes = call.operands() == 4 ? 3 : -1;
        for (int d = 0; d < extents.length; d++) {
            if (extents[d] != call.extent(0, d)) {
                call.pin(call.axis(0, d));
                result.set(d, Axis.PLAIN);
            }
        }
        if (sizes > 0 && call.has(sizes) && !call.node.has("axes")) {
            LayoutRules.writeExtents(call, sizes, result, extents);
        } else if (call.node.has("axes")
                || call.text("coordinate_transformation_mode").equals("tf_crop_and_resize")) {
            call.pinFrom(0, 0);
        }
        call.give(0, result);
    }

    private static void pad(Call call) {
        int rank = call.rank(0);
        long[] pads = call.longs(call.node.has("paddings") ? "paddings" : "pads", 1);
        long[] dimensions = call.has(3) ? call.longs("axes", 3) : null;
        if (pads == null || (call.has(3) && dimensions == null)) {
            throw new NotUnderstood("how much it pads is computed");
        }
        int count = dimensions == null ? rank : dimensions.length;
        boolean constant = call.node.text("mode", "constant").equals("constant");
        List<Axis> result = call.axes(0);
        for (int i = 0; i < count; i++) {
            int d = dimensions == null ? i : call.dimension(dimensions[i], rank);
            result.set(d, ChannelRules.padded(call, d, pads[i], pads[i + count], constant));
        }
        call.give(0, result);
    }
}
