package io.espalier.onnx.tune;

import io.espalier.nn.Module;
import io.espalier.nn.NamePattern;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.tune.OnnxPruner.Way;
import io.espalier.onnx.tune.PrunedModel.Layer;
import io.espalier.prune.NmSparsity;
import io.espalier.prune.Prune;
import io.espalier.prune.Target;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One model being pruned: which layers, by which masks, and the zeros put into a copy of it. */
final class WeightPruning {
    private static final String WEIGHT = "weight";

    private final OnnxModel model;
    private final Way way;
    private final boolean global;
    private final List<NamePattern> kept;
    private final Map<String, ConstantTensor> pruned = new LinkedHashMap<>();

    WeightPruning(OnnxModel model, Way way, boolean global, List<NamePattern> kept) {
        this.model = model;
        this.way = way;
        this.global = global;
        this.kept = kept;
    }

    /** A weight as a parameter that {@link Prune} can mask. */
    private static final class Holder extends Module {
        Holder(Tensor weight) {
            addParameter(WEIGHT, weight);
        }
    }

    PrunedModel run() {
        List<PrunableLayer> layers = PrunableLayer.of(model);
        requireNames(layers);
        Map<PrunableLayer, String> notes = new LinkedHashMap<>();
        layers.forEach(layer -> notes.put(layer, note(layer)));
        List<PrunableLayer> chosen = layers.stream().filter(l -> isEmpty(notes, l)).toList();
        requireSome(chosen, notes);
        try (var noGrad = new NoGradGuard()) {
            if (global && way instanceof Way.Ranking ranking) {
                pruneTogether(chosen, ranking);
            } else {
                chosen.forEach(this::pruneAlone);
            }
            OnnxModel result =
                    model.rewritten(graph ->
                            pruned.forEach((name, by) -> HeldWeight.replace(graph, name, by)));
            return new PrunedModel(result, layers.stream().map(l -> described(l, notes)).toList());
        }
    }

    private static boolean isEmpty(Map<PrunableLayer, String> notes, PrunableLayer layer) {
        return notes.getOrDefault(layer, "").isEmpty();
    }

    private void requireNames(List<PrunableLayer> layers) {
        for (NamePattern pattern : kept) {
            if (layers.stream().noneMatch(layer -> standsFor(pattern, layer))) {
                throw new EspalierException(
                        "No layer with a weight is named '"
                                + pattern.text()
                                + "'; 'inspect' lists the model's layers.");
            }
        }
    }

    private void requireSome(List<PrunableLayer> chosen, Map<PrunableLayer, String> notes) {
        if (chosen.isEmpty()) {
            throw new EspalierException(
                    notes.isEmpty()
                            ? "The model has no convolution, product or recurrent layer with a"
                                    + " constant weight of real numbers; there is nothing to prune."
                            : "No layer is left to prune: "
                                    + notes.keySet().iterator().next().name()
                                    + ", the first of "
                                    + notes.size()
                                    + ", is "
                                    + notes.values().iterator().next()
                                    + ".");
        }
    }

    /** Why a layer stays as it is; empty if it doesn't. */
    private String note(PrunableLayer layer) {
        if (kept.stream().anyMatch(pattern -> standsFor(pattern, layer))) {
            return "kept as asked";
        }
        if (way instanceof Way.Groups(_, int m)) {
            try (var scope = new PointerScope()) {
                Tensor read = layer.weight().read(layer.weight().tensor().toTensor());
                long inputs = read.size(layer.inputs());
                return inputs % m == 0 ? "" : "kept: " + inputs + " inputs make no groups of " + m;
            }
        }
        return "";
    }

    private void pruneAlone(PrunableLayer layer) {
        try (var scope = new PointerScope()) {
            Holder holder = holder(layer);
            switch (way) {
                case Way.Ranking(var method, var amount) ->
                        Prune.apply(holder, WEIGHT, method.apply(amount));
                case Way.Groups(int n, int m) ->
                        Prune.apply(holder, WEIGHT, new NmSparsity(n, m, layer.inputs()));
            }
            put(layer, holder);
        } catch (EspalierException e) {
            throw new EspalierException(
                    "The layer '" + layer.name() + "' can't be pruned: " + e.getMessage(), e);
        }
    }

    private void pruneTogether(List<PrunableLayer> layers, Way.Ranking ranking) {
        try (var scope = new PointerScope()) {
            List<Holder> holders = layers.stream().map(WeightPruning::holder).toList();
            List<Target> targets = new ArrayList<>();
            holders.forEach(holder -> targets.add(Prune.target(holder, WEIGHT)));
            Prune.globalUnstructured(targets, ranking.method().apply(ranking.amount()));
            for (int i = 0; i < holders.size(); i++) {
                put(layers.get(i), holders.get(i));
            }
        }
    }

    private static Holder holder(PrunableLayer layer) {
        HeldWeight weight = layer.weight();
        Tensor read = weight.read(weight.tensor().toTensor());
        return new Holder(read.to(ScalarType.Float).contiguous());
    }

    /** Elements that stay keep their bits. */
    private void put(PrunableLayer layer, Holder holder) {
        HeldWeight weight = layer.weight();
        Tensor mask = weight.held(holder.buffer(WEIGHT + "_mask")).to(ScalarType.Byte).contiguous();
        MemorySegment stays = Tensors.segment(mask);
        MemorySegment bytes =
                MemorySegment.ofArray(weight.tensor().bytes().toArray(ValueLayout.JAVA_BYTE));
        int size = weight.tensor().type().bits() / Byte.SIZE;
        for (long i = 0; i < weight.tensor().elements(); i++) {
            if (stays.get(ValueLayout.JAVA_BYTE, i) == 0) {
                bytes.asSlice(i * size, size).fill((byte) 0);
            }
        }
        pruned.put(weight.name(), weight.tensor().withBytes(bytes));
    }

    private Layer described(PrunableLayer layer, Map<PrunableLayer, String> notes) {
        HeldWeight weight = layer.weight();
        ConstantTensor now = pruned.getOrDefault(weight.name(), weight.tensor());
        try (var scope = new PointerScope()) {
            long elements = now.elements();
            return new Layer(
                    layer.name(),
                    layer.node().op(),
                    weight.name(),
                    now.shape(),
                    elements,
                    elements - now.toTensor().count_nonzero().item_long(),
                    notes.getOrDefault(layer, ""));
        }
    }

    /** Whether a layer is meant, by its node's name or its weight's. */
    private static boolean standsFor(NamePattern pattern, PrunableLayer layer) {
        return pattern.matches(layer.name()) || pattern.matches(layer.weight().name());
    }
}
