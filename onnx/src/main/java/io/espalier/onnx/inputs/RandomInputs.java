package io.espalier.onnx.inputs;

import io.espalier.onnx.inputs.BatchSource.Made;
import io.espalier.onnx.inputs.TensorInfo.Extent;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;

/**
 * Numbers drawn at random: normally distributed real ones; integers that look up the rows of a
 * table, any of its rows; other integers and booleans 1, as a mask that hides nothing.
 */
public final class RandomInputs extends Inputs {
    private static final int USUAL_EXAMPLES = 32;

    /** No array of Java's holds more. */
    private static final long MOST_NUMBERS = Integer.MAX_VALUE - 8;

    /** What changes how indices are written, but not the indices. */
    private static final Set<String> SAME_INDICES =
            Set.of("Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten");

    private final Map<String, Integer> sizes;
    private final int height;
    private final int width;

    RandomInputs(Selection selection, Map<String, Integer> sizes) {
        this(selection, sizes, 0, 0);
    }

    private RandomInputs(Selection selection, Map<String, Integer> sizes, int height, int width) {
        super(selection);
        this.sizes = sizes;
        this.height = height;
        this.width = width;
    }

    /**
     * The size of a dimension that the model leaves open, the first ones aside, which are the
     * batch.
     *
     * @param dimension what the model calls it, or the input's name and the dimension's number:
     *     {@code "x[3]"}
     * @param extent 1 or more
     * @throws EspalierException if it is below 1
     */
    public RandomInputs size(String dimension, int extent) {
        Needed.of(dimension, "the name of the dimension");
        if (extent < 1) {
            throw new EspalierException(
                    "The dimension '%s' can't have a size of %d.".formatted(dimension, extent));
        }
        var more = new HashMap<>(sizes);
        more.put(dimension, extent);
        return new RandomInputs(selection, Map.copyOf(more), height, width);
    }

    /**
     * The size of images: of the last two dimensions of an input [N, C, H, W], where the model
     * leaves them open.
     *
     * @throws EspalierException if a side is below 1
     */
    public RandomInputs imageSize(int newHeight, int newWidth) {
        if (newHeight < 1 || newWidth < 1) {
            throw new EspalierException(
                    "An image has at least 1x1 pixels; asked for %dx%d."
                            .formatted(newHeight, newWidth));
        }
        return new RandomInputs(selection, sizes, newHeight, newWidth);
    }

    /** The sizes that were set. */
    public Map<String, Integer> sizes() {
        return sizes;
    }

    @Override
    public RandomInputs batch(int examples) {
        return with(selection.batch(examples));
    }

    @Override
    public RandomInputs limit(int examples) {
        return with(selection.limit(examples));
    }

    @Override
    public RandomInputs shuffled(long seed) {
        return with(selection.shuffled(seed));
    }

    @Override
    RandomInputs with(Selection other) {
        return new RandomInputs(other, sizes, height, width);
    }

    @Override
    BatchSource open(OnnxModel model, Signature signature) {
        int most = selection.batchFor(signature);
        int examples = selection.limit().orElse(Math.max(USUAL_EXAMPLES, most));
        int batch = signature.fixedBatch().isPresent() ? most : Math.min(most, examples);
        int count = Math.max(1, examples / batch);
        List<Drawn> drawn =
                signature.inputs().stream()
                        .map(input -> {
                            int rows = rows(model.graph(), input.name());
                            return new Drawn(input, rows, shape(input, batch));
                        })
                        .toList();
        return new RandomBatches(drawn, count, selection.seed().orElse(0));
    }

    /**
     * Says that each size is of a dimension that a model leaves open, and that of images one that
     * it takes.
     *
     * @throws EspalierException if one is not
     */
    public void requireOpenIn(OnnxModel model) {
        Signature signature = Signature.of(model);
        if (height != 0 && signature.inputs().stream().noneMatch(this::hasImages)) {
            throw new EspalierException(
                    "The model takes no images of %dx%d. %s"
                            .formatted(height, width, signature.wanted()));
        }
        var open = new TreeSet<String>();
        var others = new TreeSet<>(sizes.keySet());
        for (TensorInfo input : signature.inputs()) {
            int dimensions = input.extents().map(List::size).orElse(0);
            for (int d = 0; d < dimensions; d++) {
                if (input.fixed(d).isEmpty()) {
                    String symbol = input.symbol(d);
                    String place = place(input, d);
                    open.add(symbol.isEmpty() ? place : symbol);
                    others.removeAll(List.of(symbol, place));
                }
            }
        }
        if (!others.isEmpty()) {
            throw new EspalierException(
                    "The model leaves no dimension '%s' open; %s. %s"
                            .formatted(
                                    others.first(),
                                    open.isEmpty()
                                            ? "it leaves none"
                                            : "it leaves " + String.join(", ", open),
                                    signature.wanted()));
        }
    }

    private boolean hasImages(TensorInfo input) {
        int dimensions = input.extents().map(List::size).orElse(0);
        return dimensions == 4
                && input.fixed(2).orElse(height) == height
                && input.fixed(3).orElse(width) == width;
    }

    private static String place(TensorInfo input, int dimension) {
        return input.name() + "[" + dimension + "]";
    }

    private long[] shape(TensorInfo input, int batch) {
        List<Extent> extents =
                input.extents()
                        .orElseThrow(() ->
                                new EspalierException(
                                        "No numbers can be drawn for "
                                                + input
                                                + "; give inputs, on the command line by"
                                                + " --calibration PATH."));
        long[] shape = new long[extents.size()];
        for (int d = 0; d < shape.length; d++) {
            OptionalLong fixed = input.fixed(d);
            shape[d] = fixed.isPresent() ? fixed.getAsLong() : open(input, d, shape.length, batch);
        }
        requireArray(input, shape);
        return shape;
    }

    private static void requireArray(TensorInfo input, long... shape) {
        long count = 1;
        for (long size : shape) {
            count = Math.min(count, MOST_NUMBERS) * Math.min(size, MOST_NUMBERS);
        }
        if (count > MOST_NUMBERS) {
            throw new EspalierException(
                    "'%s' would be %s, more numbers than can be drawn at once (%,d); make what the model leaves open smaller, or take fewer examples at once."
                            .formatted(input.name(), Arrays.toString(shape), MOST_NUMBERS));
        }
    }

    /** A size for a dimension that the model leaves open. */
    private long open(TensorInfo input, int dimension, int dimensions, int batch) {
        String symbol = input.symbol(dimension);
        String place = place(input, dimension);
        Integer chosen = sizes.getOrDefault(symbol, sizes.get(place));
        if (chosen != null) {
            return chosen;
        }
        if (dimension == 0) {
            return batch;
        }
        if (height != 0 && dimensions == 4 && dimension >= 2) {
            return dimension == 2 ? height : width;
        }
        throw new EspalierException(
                ("Random inputs need the size of '%1$s', which the model leaves open: %2$s. Set it"
                                + " by size(\"%1$s\", N), on the command line --dimension %1$s=N.")
                        .formatted(symbol.isEmpty() ? place : symbol, input));
    }

    /** The rows of the smallest table in which the input is looked up; 0 if there is none. */
    private static int rows(OnnxGraph graph, String value) {
        int least = 0;
        for (OnnxNode reader : graph.readers(value)) {
            int rows = 0;
            if (SAME_INDICES.contains(reader.op())) {
                rows = rows(graph, reader.output());
            } else if (reader.is("Gather") && reader.input(1).equals(value)) {
                ConstantTensor table = graph.constant(reader.input(0));
                rows =
                        table == null || table.shape().isEmpty()
                                ? 0
                                : (int) Math.min(Integer.MAX_VALUE, table.shape().getFirst());
            }
            least = least == 0 || rows == 0 ? Math.max(least, rows) : Math.min(least, rows);
        }
        return least;
    }

    /** What is drawn for one input. */
    @SuppressWarnings("ArrayRecordComponent") // made and read here alone
    private record Drawn(TensorInfo input, int rows, long[] shape) {
        Tensor draw(Random random) {
            int count = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
            if (input.type().isFloating()) {
                float[] numbers = new float[count];
                for (int i = 0; i < count; i++) {
                    numbers[i] = (float) random.nextGaussian();
                }
                return Tensors.of(numbers, shape);
            }
            long[] numbers = new long[count];
            for (int i = 0; i < count; i++) {
                numbers[i] = rows == 0 ? 1 : random.nextInt(rows);
            }
            return Tensors.of(numbers, shape).to(Elements.scalarType(input.type()).orElseThrow());
        }
    }

    private record RandomBatches(List<Drawn> drawn, int total, long seed) implements BatchSource {
        @Override
        public Iterator<Made> batches() {
            var random = new Random(seed);
            return new Iterator<>() {
                private int made;

                @Override
                public boolean hasNext() {
                    return made < total;
                }

                @Override
                public Made next() {
                    made++;
                    var tensors = new LinkedHashMap<String, Tensor>();
                    drawn.forEach(each -> tensors.put(each.input().name(), each.draw(random)));
                    return new Made("A random draw", tensors);
                }
            };
        }

        @Override
        public OptionalInt count() {
            return OptionalInt.of(total);
        }

        @Override
        public Optional<String> warning() {
            return Optional.of(
                    "These inputs are random numbers: ranges calibrated with them fit no real"
                            + " input, and accuracy measured with them says nothing.");
        }

        @Override
        public String name() {
            return "A random draw";
        }
    }
}
