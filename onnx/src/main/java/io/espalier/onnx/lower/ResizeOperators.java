package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.tensor.Tensors;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Larger and smaller pictures: by libtorch's interpolation where it computes the same, else, where
 * sizes are fixed, along one dimension after the other by a choice or a matrix.
 */
final class ResizeOperators {
    private static final long OPSET_OF_MODES = 11;
    private static final String HALF_PIXEL = "half_pixel";
    private static final String ASYMMETRIC = "asymmetric";
    private static final String ALIGN_CORNERS = "align_corners";
    private static final String NEAREST = "nearest";

    private ResizeOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("Resize", ResizeOperators::resize);
        table.put("Upsample", ResizeOperators::resize);
    }

    /**
     * What a node asks for.
     *
     * @param scales one for each dimension; null if sizes are given
     * @param sizes one for each dimension; null if scales are given
     */
    private record Wanted(
            String mode,
            String coordinates,
            String rounding,
            @Nullable List<Double> scales,
            @Nullable List<Size> sizes) {
        boolean isNearest() {
            return mode.equals(NEAREST);
        }
    }

    private static void resize(Call call) {
        Wanted wanted = wanted(call);
        Map<String, Object> libtorch = attributes(call, wanted);
        if (libtorch == null) {
            byDimension(call, wanted);
            return;
        }
        call.give(call.apply(operator(call, wanted), libtorch, call.in(0)));
    }

    private static Wanted wanted(Call call) {
        boolean modes = call.node.is("Resize") && call.opset() >= OPSET_OF_MODES;
        String mode = call.node.text("mode", NEAREST);
        String coordinates =
                modes ? call.node.text("coordinate_transformation_mode", HALF_PIXEL) : ASYMMETRIC;
        String rounding = modes ? call.node.text("nearest_mode", "round_prefer_floor") : "floor";
        boolean special =
                call.node.integer("antialias", 0) != 0
                        || call.node.integer("exclude_outside", 0) != 0
                        || coordinates.equals("tf_crop_and_resize")
                        || !call.node.text("keep_aspect_ratio_policy", "stretch").equals("stretch");
        if (special) {
            throw call.refused(
                    "it resizes with antialias, exclude_outside, tf_crop_and_resize or a kept"
                            + " aspect ratio");
        }
        int rank = call.rank(0);
        List<Long> axes = call.node.integers("axes");
        int place = modes ? 2 : 1;
        if (modes && call.has(3)) {
            return new Wanted(mode, coordinates, rounding, null, sizes(call, rank, axes));
        }
        List<Double> scales = scales(call, place, rank, axes);
        if (!modes && mode.equals(NEAREST) && scales.stream().anyMatch(s -> s < 1)) {
            throw call.refused("it makes smaller as opsets before 11 did");
        }
        return new Wanted(
                mode.equals("bilinear") ? "linear" : mode, coordinates, rounding, scales, null);
    }

    private static List<Size> sizes(Call call, int rank, List<Long> axes) {
        List<Size> given = call.requireIntegers(3);
        if (axes.isEmpty()) {
            return given;
        }
        List<Size> all = new ArrayList<>(call.sizes(0));
        for (int i = 0; i < axes.size(); i++) {
            all.set(call.axisOf(axes.get(i), rank), given.get(i));
        }
        return all;
    }

    private static List<Double> scales(Call call, int place, int rank, List<Long> axes) {
        double[] all = new double[rank];
        Arrays.fill(all, 1);
        double[] given;
        if (call.node.has("scales")) {
            given = call.node.numbers("scales").stream().mapToDouble(Float::doubleValue).toArray();
        } else {
            ConstantTensor constant = call.weight(place);
            if (constant == null) {
                throw call.refused("its scales are computed when it runs");
            }
            given = Constants.doubles(constant);
        }
        for (int i = 0; i < given.length; i++) {
            all[axes.isEmpty() ? i : call.axisOf(axes.get(i), rank)] = given[i];
        }
        return Arrays.stream(all).boxed().toList();
    }

    private static GraphOperator operator(Call call, Wanted wanted) {
        int rank = call.rank(0) - 2;
        return switch (wanted.mode) {
            case NEAREST ->
                    Window.byRank(
                            call,
                            rank,
                            GraphOperator.UPSAMPLE_NEAREST1D,
                            GraphOperator.UPSAMPLE_NEAREST2D,
                            GraphOperator.UPSAMPLE_NEAREST3D);
            case "linear" ->
                    Window.byRank(
                            call,
                            rank,
                            GraphOperator.UPSAMPLE_LINEAR1D,
                            GraphOperator.UPSAMPLE_BILINEAR2D,
                            GraphOperator.UPSAMPLE_TRILINEAR3D);
            default -> GraphOperator.UPSAMPLE_BICUBIC2D;
        };
    }

    /** Those of libtorch's operator; null if none computes the same. */
    private static @Nullable Map<String, Object> attributes(Call call, Wanted wanted) {
        int rank = call.rank(0);
        boolean fits =
                rank >= 3
                        && rank <= 5
                        && isKept(call, wanted, 0)
                        && isKept(call, wanted, 1)
                        && (wanted.isNearest()
                                ? roundsAsLibtorch(call, wanted)
                                : placesAsLibtorch(call, wanted));
        if (!fits) {
            return null;
        }
        Map<String, Object> attributes = new HashMap<>();
        if (!wanted.isNearest()) {
            attributes.put("align_corners", wanted.coordinates.equals(ALIGN_CORNERS));
        }
        if (wanted.scales != null) {
            attributes.put("scale_factors", wanted.scales.subList(2, rank));
        } else if (wanted.sizes != null) {
            attributes.put("output_size", wanted.sizes.subList(2, rank));
        }
        return attributes;
    }

    private static boolean isKept(Call call, Wanted wanted, int dim) {
        return wanted.scales != null
                ? wanted.scales.get(dim) == 1
                : wanted.sizes != null && wanted.sizes.get(dim).equals(call.shape(0).get(dim));
    }

    private static boolean roundsAsLibtorch(Call call, Wanted wanted) {
        if (wanted.coordinates.equals(ASYMMETRIC) && wanted.rounding.equals("floor")) {
            return true;
        }
        boolean halves =
                wanted.coordinates.equals(HALF_PIXEL)
                        || wanted.coordinates.equals("pytorch_half_pixel");
        boolean rounds = wanted.rounding.startsWith("round_prefer");
        for (int dim = 2; dim < call.rank(0); dim++) {
            double scale = scale(call, wanted, dim);
            boolean same =
                    halves
                            ? rounds && scale >= 1 && scale == Math.rint(scale)
                            : wanted.coordinates.equals(ASYMMETRIC)
                                    && wanted.rounding.equals("round_prefer_floor")
                                    && (scale == 1 || scale == 2);
            if (!same) {
                return false;
            }
        }
        return true;
    }

    private static boolean placesAsLibtorch(Call call, Wanted wanted) {
        boolean cubic = wanted.mode.equals("cubic");
        if (cubic && (call.rank(0) != 4 || call.node.number("cubic_coeff_a", -0.75f) != -0.75f)) {
            return false;
        }
        return switch (wanted.coordinates) {
            case HALF_PIXEL, ALIGN_CORNERS -> true;
            case "pytorch_half_pixel" ->
                    wanted.scales != null
                            || (wanted.sizes != null
                                    && !wanted.sizes
                                            .subList(2, call.rank(0))
                                            .contains(Window.fixed(1)));
            default -> false;
        };
    }

    /** How many times longer a dimension becomes; NaN if that is known only when it runs. */
    private static double scale(Call call, Wanted wanted, int dim) {
        if (wanted.scales != null) {
            return wanted.scales.get(dim);
        }
        return wanted.sizes != null
                        && wanted.sizes.get(dim) instanceof Size.Fixed(long out)
                        && call.shape(0).get(dim) instanceof Size.Fixed(long in)
                ? (double) out / in
                : Double.NaN;
    }

    private static void byDimension(Call call, Wanted wanted) {
        Value x = call.in(0);
        for (int dim = 0; dim < call.rank(0); dim++) {
            if (!isKept(call, wanted, dim)) {
                long in = call.length(0, dim);
                double scale = scale(call, wanted, dim);
                if (Double.isNaN(scale)) {
                    throw call.refused("it resizes in a way for which its sizes must be fixed");
                }
                var line =
                        new ResizedLine(
                                in,
                                wanted.sizes != null
                                                && wanted.sizes.get(dim)
                                                        instanceof Size.Fixed(long length)
                                        ? length
                                        : (long) Math.floor(in * scale),
                                scale,
                                wanted.coordinates,
                                call.node.number("cubic_coeff_a", -0.75f));
                x =
                        wanted.isNearest()
                                ? chosen(call, x, dim, line.nearest(wanted.rounding))
                                : multiplied(call, x, dim, line, wanted.mode.equals("cubic"));
            }
        }
        call.give(x);
    }

    private static Value chosen(Call call, Value x, int dim, long[] places) {
        Value index = call.constant("places_" + dim, Tensors.of(places, places.length));
        return call.apply(GraphOperator.INDEX_SELECT, Map.of("dim", dim), x, index);
    }

    private static Value multiplied(Call call, Value x, int dim, ResizedLine line, boolean cubic) {
        float[] weights = line.weights(cubic);
        Value matrix =
                call.constant(
                        "weights_" + dim,
                        Tensors.of(weights, line.in(), line.out()).to(call.type(0).libtorch()));
        Map<String, Object> swap = Map.of("dim0", dim, "dim1", -1);
        Value last = call.apply(GraphOperator.TRANSPOSE, swap, x);
        return call.apply(
                GraphOperator.TRANSPOSE, swap, call.apply(GraphOperator.MATMUL, last, matrix));
    }
}
