package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.ValueInfoProto;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Extents that a model's inputs may well have, where it leaves them free. */
final class TypicalExtents {
    /** Heights and widths of images, as classifiers, readers of lines and detectors take them. */
    private static final List<List<Long>> IMAGES =
            List.of(
                    List.of(224L, 224L),
                    List.of(48L, 320L),
                    List.of(32L, 320L),
                    List.of(640L, 640L));

    private static final long SEQUENCE = 128;
    private static final int COLORS = 3;

    private TypicalExtents() {}

    /**
     * Those given, and for other inputs the first typical ones with which the most values' extents
     * are found; inputs without any shape are left out.
     */
    static Map<String, List<Long>> of(OnnxModel model, Map<String, List<Long>> given) {
        Shapes shapes = Shapes.of(model, given);
        Map<String, List<Long>> best = Map.of();
        long fewest = Long.MAX_VALUE;
        for (List<Long> image : IMAGES) {
            Map<String, List<Long>> extents = of(model, shapes, image);
            long open = extents.equals(best) ? fewest : unknown(model, Shapes.of(model, extents));
            if (open < fewest) {
                fewest = open;
                best = extents;
            }
            if (fewest == 0) {
                break;
            }
        }
        return best;
    }

    private static long unknown(OnnxModel model, Shapes shapes) {
        return model.graph().nodes().stream()
                .flatMap(node -> node.outputs().stream())
                .filter(value -> !value.isEmpty() && shapes.extents(value) == null)
                .count();
    }

    private static Map<String, List<Long>> of(OnnxModel model, Shapes shapes, List<Long> image) {
        Map<String, Long> sizes = new HashMap<>();
        Map<String, List<Long>> extents = new LinkedHashMap<>();
        for (ValueInfoProto input : model.graph().inputs()) {
            ValueType type = shapes.type(input.getName());
            List<Extent> shape = type.shape();
            if (shape != null) {
                choose(type, shape, image, sizes);
                extents.put(
                        input.getName(),
                        shape.stream().map(extent -> extent.with(sizes).value()).toList());
            }
        }
        return extents;
    }

    private static void choose(
            ValueType type, List<Extent> shape, List<Long> image, Map<String, Long> sizes) {
        boolean isImage =
                shape.size() == 4
                        && type.elements() != ElementType.INT64
                        && isChannels(shape.get(1));
        for (int dim = 0; dim < shape.size(); dim++) {
            long size = dim == 0 ? 1 : !isImage ? SEQUENCE : dim == 1 ? COLORS : image.get(dim - 2);
            shape.get(dim).names().forEach(name -> sizes.putIfAbsent(name, size));
        }
    }

    /** Free, or as few as an image's colours. */
    private static boolean isChannels(Extent extent) {
        return !extent.isKnown() || extent.value() <= COLORS + 1;
    }
}
