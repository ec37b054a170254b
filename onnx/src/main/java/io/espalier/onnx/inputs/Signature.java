package io.espalier.onnx.inputs;

import io.espalier.onnx.inputs.BatchSource.Made;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Collectors;

/** All that a model says of its inputs, and whether a batch is that. */
public record Signature(List<TensorInfo> inputs) {
    /**
     * What a file says.
     *
     * @throws EspalierException if it takes nothing, or something that is no tensor
     */
    public static Signature of(OnnxModel model) {
        return of(model.graph().inputs().stream().map(TensorInfo::of).toList());
    }

    /**
     * These inputs.
     *
     * @throws EspalierException if there are none, or one is of a type that can't be given
     */
    public static Signature of(List<TensorInfo> inputs) {
        if (inputs.isEmpty()) {
            throw new EspalierException("The model takes no inputs.");
        }
        for (TensorInfo input : inputs) {
            if (Elements.scalarType(input.type()).isEmpty()) {
                throw new EspalierException(
                        "The model's input '%s' is of type %s, which can't be given."
                                .formatted(input.name(), input.type()));
            }
        }
        return new Signature(List.copyOf(inputs));
    }

    /** Whether some batch is what both take. */
    public boolean meets(Signature other) {
        return inputs.size() == other.inputs.size()
                && inputs.stream().allMatch(input -> other.inputs.stream().anyMatch(input::meets));
    }

    /**
     * Tensors of a call in the model's order.
     *
     * @throws EspalierException if names, types or shapes differ; the message says what the model
     *     wants
     */
    public Map<String, Tensor> exact(Map<String, Tensor> tensors) {
        var call = new Made("The call", tensors);
        for (TensorInfo input : inputs) {
            Tensor tensor = tensors.get(input.name());
            if (tensor != null) {
                Tensors.requirePlain(input.name(), tensor);
                if (!Elements.isOf(input.type(), tensor)) {
                    throw differs(call, tensors, "");
                }
            }
        }
        return checked(call);
    }

    /**
     * Numbers of a call as the model takes them: in its order, elements converted where they can
     * stand for the type wanted, integers for real numbers and 0 and 1 for booleans, too.
     *
     * @throws EspalierException if names or shapes differ, or a type can't stand for the one
     *     wanted; the message says what the model wants
     */
    public Map<String, Tensor> converted(Map<String, Tensor> tensors) {
        var converted = new LinkedHashMap<String, Tensor>(tensors);
        for (TensorInfo input : inputs) {
            converted.computeIfPresent(
                    input.name(), (name, tensor) -> Elements.ofNumbers(input.type(), tensor));
        }
        return checked(new Made("The call", converted));
    }

    /**
     * The size of the first dimension, if all inputs have the same fixed one.
     *
     * @throws EspalierException if it is 2^31 or more
     */
    public OptionalInt fixedBatch() {
        List<OptionalLong> sizes = inputs.stream().map(input -> input.fixed(0)).distinct().toList();
        if (sizes.size() != 1 || sizes.getFirst().isEmpty()) {
            return OptionalInt.empty();
        }
        long size = sizes.getFirst().getAsLong();
        if (size > Integer.MAX_VALUE) {
            throw new EspalierException(
                    "The model takes %,d examples at once, more than can be given."
                            .formatted(size));
        }
        return OptionalInt.of((int) size);
    }

    /**
     * The only input, for sources that give one tensor.
     *
     * @param what they are, for an error
     */
    TensorInfo only(String what) {
        if (inputs.size() != 1) {
            throw new EspalierException(
                    "%s are one input. %s (give arrays named so)".formatted(what, wanted()));
        }
        return inputs.getFirst();
    }

    /** What the model wants, as a sentence. */
    String wanted() {
        return "The model wants " + this + ".";
    }

    @Override
    public String toString() {
        return inputs.stream().map(TensorInfo::toString).collect(Collectors.joining(", "));
    }

    /**
     * The batch as the model takes it: in its order, elements converted where they can stand for
     * the type wanted.
     *
     * @throws EspalierException if names, types or shapes differ
     */
    Map<String, Tensor> checked(Made batch) {
        Map<String, Tensor> given = batch.tensors();
        var checked = new LinkedHashMap<String, Tensor>();
        for (TensorInfo input : inputs) {
            Tensor tensor = given.get(input.name());
            if (tensor == null || given.size() != inputs.size()) {
                throw differs(batch, given, "");
            }
            Tensors.requirePlain(input.name(), tensor);
            Tensor fitting =
                    Elements.as(input.type(), tensor)
                            .orElseThrow(() ->
                                    differs(batch, given, Elements.reason(input.type(), tensor)));
            if (!input.takes(Tensors.shape(tensor))) {
                throw differs(batch, given, "");
            }
            checked.put(input.name(), fitting);
        }
        requireOneBatchSize(batch, given);
        return Collections.unmodifiableMap(checked);
    }

    /** First dimensions of one symbol have one size. */
    private void requireOneBatchSize(Made batch, Map<String, Tensor> given) {
        var sizes = new HashMap<String, Long>();
        for (TensorInfo input : inputs) {
            String symbol = input.symbol(0);
            Tensor tensor = given.get(input.name());
            if (!symbol.isEmpty() && tensor != null) {
                Long other = sizes.put(symbol, tensor.size(0));
                if (other != null && other != tensor.size(0)) {
                    throw differs(
                            batch,
                            given,
                            " '%s' can't be both %d and %d."
                                    .formatted(symbol, other, tensor.size(0)));
                }
            }
        }
    }

    private EspalierException differs(Made batch, Map<String, Tensor> given, String more) {
        String there =
                given.entrySet().stream()
                        .map(entry -> TensorInfo.describe(entry.getKey(), entry.getValue()))
                        .sorted()
                        .collect(Collectors.joining(", "));
        return new EspalierException(
                "%s %s gives %s.%s"
                        .formatted(
                                wanted(),
                                batch.origin(),
                                there.isEmpty() ? "nothing" : there,
                                more));
    }
}
