package io.espalier.onnx.repair;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.RandomInputs;
import io.espalier.onnx.inputs.Signature;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.TensorShapeProto.Dimension;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Random inputs of sizes that a model runs with: where it leaves dimensions open, the first usual
 * ones that it takes.
 */
public final class TrialInputs {
    private static final int EXAMPLES = 2;

    /** Heights and widths of what is looked at: pictures, lines of text, faces, scenes. */
    private static final List<List<Integer>> USUAL =
            List.of(
                    List.of(224, 224),
                    List.of(48, 320),
                    List.of(32, 320),
                    List.of(64, 64),
                    List.of(32, 100),
                    List.of(112, 112),
                    List.of(640, 640));

    /** How long a text is, or a row of features. */
    private static final int USUAL_LENGTH = 32;

    private TrialInputs() {}

    /**
     * Batches of one example and of two, as far as the model takes them.
     *
     * @param sizes of open dimensions, by what the model calls them or as {@code x[3]}
     * @throws EspalierException if it runs with none of the usual sizes, or one is of no dimension
     *     that it leaves open
     */
    static List<InputBatches> of(OnnxModel model, OnnxSession session, Map<String, Integer> sizes) {
        RandomInputs inputs = usual(model, session, sizes);
        var batches = new ArrayList<>(List.of(batch(model, inputs, 1)));
        addIfRunnable(batches, model, session, inputs);
        return batches;
    }

    /**
     * Random inputs of the first usual sizes that the model takes; none are chosen for a model that
     * leaves nothing open.
     *
     * @throws EspalierException if it runs with none of the usual sizes, or one is of no dimension
     *     that it leaves open
     */
    public static RandomInputs usual(OnnxModel model, Map<String, Integer> sizes) {
        sized(sizes).requireOpenIn(model);
        RandomInputs first = sized(model, sizes, USUAL.getFirst());
        if (first.sizes().equals(sizes)) {
            return first;
        }
        try (var session = OnnxSession.open(model)) {
            return usual(model, session, sizes);
        }
    }

    private static RandomInputs usual(
            OnnxModel model, OnnxSession session, Map<String, Integer> sizes) {
        sized(sizes).requireOpenIn(model);
        RuntimeException last = null;
        for (List<Integer> usual : USUAL) {
            RandomInputs inputs = sized(model, sizes, usual);
            try {
                requireRunning(session, batch(model, inputs, 1));
                return inputs;
            } catch (EspalierException e) {
                last = e;
            }
        }
        String reason = last == null ? "" : last.getMessage();
        if (sized(model, sizes, USUAL.getFirst()).sizes().equals(sizes)) {
            Shapes.of(model).requireRunning("The model");
            throw new EspalierException("The model does not run: " + reason, last);
        }
        throw new EspalierException(
                "The model runs with none of the sizes that were tried for its open dimensions;"
                        + " name them: "
                        + reason,
                last);
    }

    private static void addIfRunnable(
            List<InputBatches> batches, OnnxModel model, OnnxSession session, RandomInputs inputs) {
        try {
            InputBatches more = batch(model, inputs.shuffled(1), EXAMPLES);
            requireRunning(session, more);
            batches.add(more);
        } catch (EspalierException e) {
            // A model that takes one example at a time is tried with one.
        }
    }

    private static InputBatches batch(OnnxModel model, RandomInputs inputs, int examples) {
        int batch = Signature.of(model).fixedBatch().orElse(examples);
        return inputs.batch(batch).limit(batch).checkedFor(model);
    }

    private static void requireRunning(OnnxSession session, InputBatches batches) {
        try (var scope = new PointerScope();
                var loop = batches.iterator()) {
            session.run(loop.next());
        }
    }

    /** Sizes for all open dimensions; one that has a name has the same wherever it is named. */
    private static RandomInputs sized(
            OnnxModel model, Map<String, Integer> sizes, List<Integer> usual) {
        var all = new HashMap<String, Integer>();
        for (ValueInfoProto input : model.graph().inputs()) {
            List<Dimension> dims = input.getType().getTensorType().getShape().getDimList();
            for (int d = 1; d < dims.size(); d++) {
                if (dims.get(d).getDimValue() > 0) {
                    continue;
                }
                String place = input.getName() + "[" + d + "]";
                String symbol = dims.get(d).getDimParam();
                boolean named = !symbol.isBlank() && !symbol.startsWith("?");
                String name = named ? symbol : place;
                all.putIfAbsent(name, usual(d, dims.size(), usual));
                if (sizes.containsKey(place)) {
                    all.put(name, sizes.get(place));
                }
            }
        }
        all.putAll(sizes);
        return sized(all);
    }

    private static RandomInputs sized(Map<String, Integer> sizes) {
        RandomInputs inputs = Inputs.random();
        for (Map.Entry<String, Integer> size : sizes.entrySet()) {
            inputs = inputs.size(size.getKey(), size.getValue());
        }
        return inputs;
    }

    private static int usual(int dimension, int rank, List<Integer> sides) {
        if (rank < 4) {
            return USUAL_LENGTH;
        }
        return dimension == 1 ? 3 : sides.get(dimension == rank - 1 ? 1 : 0);
    }
}
