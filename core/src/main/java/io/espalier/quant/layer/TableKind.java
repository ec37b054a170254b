package io.espalier.quant.layer;

import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.Module;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.PlaceholderObserver;
import io.espalier.quant.qat.FakeQuantizedParameter;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Tables of vectors: small rows, and floats looked up in them. */
record TableKind(Class<? extends Module> type) implements LayerKind {
    static final List<LayerKind> ALL =
            List.of(new TableKind(Embedding.class), new TableKind(EmbeddingBag.class));

    private static final FakeQuantizedParameter ROUNDED = FakeQuantizedParameter.WEIGHT;

    @Override
    public boolean isQuantized() {
        return true;
    }

    @Override
    public boolean hasWeight() {
        return true;
    }

    @Override
    public boolean isTable() {
        return true;
    }

    @Override
    public boolean givesIntegers() {
        return false;
    }

    @Override
    public Optional<ObserverFactory> observer(ObserverFactory activation, boolean training) {
        return Optional.of(PlaceholderObserver.with());
    }

    @Override
    public boolean showsOutput() {
        return false;
    }

    @Override
    public boolean isTrained() {
        return true;
    }

    /** The same table with its weight rounded in every call. */
    @Override
    public Module trained(PlacedLayer place, Observer rounding) {
        Module rounded = place.layer().alias();
        rounded.add(ROUNDED.child(), rounding);
        rounded.parametrize(ROUNDED.name(), ROUNDED);
        return rounded;
    }

    @Override
    public boolean hasDynamicForm() {
        return true;
    }

    @Override
    public Module dynamic(PlacedLayer place) {
        return QuantizedTable.of(place.path(), place.layer(), place.tableWeight());
    }

    /** The rows are quantized as their own fake quantization learned to, if they have one. */
    @Override
    public Module converted(PlacedLayer place) {
        @Nullable Module learned = place.layer().namedChildren().get(ROUNDED.child());
        if (learned == null) {
            return dynamic(place);
        }
        Module plain = place.layer().alias();
        plain.unparametrize(ROUNDED.name(), ROUNDED);
        return QuantizedTable.of(place.path(), plain, () -> learned.<Observer>copy());
    }

    @Override
    public Map<String, Reader> forms() {
        return Map.of(
                "QuantizedEmbedding",
                (old, tensors, attributes) ->
                        new QuantizedEmbedding(QuantizedTable.rows(tensors, attributes)),
                "QuantizedEmbeddingBag",
                (old, tensors, attributes) -> QuantizedEmbeddingBag.read(tensors, attributes));
    }
}
