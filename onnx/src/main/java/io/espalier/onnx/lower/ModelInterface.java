package io.espalier.onnx.lower;

import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphTypes;
import io.espalier.graph.Size;
import io.espalier.graph.TensorType;
import io.espalier.graph.Value;
import io.espalier.onnx.inputs.Signature;
import io.espalier.onnx.inputs.TensorInfo;
import io.espalier.onnx.inputs.TensorInfo.Extent;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.shape.Shapes;
import io.espalier.onnx.shape.ValueType;
import io.espalier.state.MetadataJson;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import tools.jackson.core.type.TypeReference;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What a model takes and gives, by the names of the file that it came from.
 *
 * @param inputs in the model's order
 * @param outputs in the model's order
 */
public record ModelInterface(List<TensorInfo> inputs, List<TensorInfo> outputs) {
    private static final String INPUTS = "onnx.inputs";
    private static final String OUTPUTS = "onnx.outputs";
    private static final String NAME = "name";
    private static final String TYPE = "type";
    private static final String SHAPE = "shape";

    /** Copies the lists. */
    public ModelInterface {
        inputs = List.copyOf(inputs);
        outputs = List.copyOf(outputs);
    }

    /**
     * That of a file's model; what it does not say of its outputs is inferred.
     *
     * @throws EspalierException if the type of an input or output is not known, or it is no tensor
     */
    public static ModelInterface of(OnnxModel model) {
        Shapes shapes = Shapes.of(model);
        List<TensorInfo> outputs = new ArrayList<>();
        for (ValueInfoProto output : model.graph().outputs()) {
            outputs.add(output(output.getName(), shapes.type(output.getName())));
        }
        return new ModelInterface(Signature.of(model).inputs(), outputs);
    }

    private static TensorInfo output(String name, ValueType type) {
        ElementType elements = type.elements();
        if (elements == null) {
            throw new EspalierException(
                    "The model's output '" + name + "' is no tensor of a known type.");
        }
        List<io.espalier.onnx.shape.Extent> shape = type.shape();
        return new TensorInfo(
                name,
                elements,
                Optional.ofNullable(shape)
                        .map(all -> all.stream().map(ModelInterface::extent).toList()));
    }

    private static Extent extent(io.espalier.onnx.shape.Extent extent) {
        return extent.isKnown()
                ? new Extent(OptionalLong.of(extent.value()), "")
                : new Extent(OptionalLong.empty(), symbol(extent.toString()));
    }

    /** What has no name but that of a number is called nothing. */
    private static String symbol(String text) {
        return text.startsWith("?") ? "" : text;
    }

    /** That of a graph whose file says nothing more: its values have names. */
    static ModelInterface of(GraphModule module) {
        List<TensorInfo> inputs = new ArrayList<>();
        module.graph()
                .signature()
                .types()
                .forEach((value, type) -> inputs.add(info(value.name(), type)));
        List<TensorInfo> outputs = new ArrayList<>();
        Map<Value, TensorType> types = GraphTypes.of(module).types();
        for (Value output : module.graph().outputs()) {
            outputs.add(
                    info(
                            output.name(),
                            Optional.ofNullable(types.get(output))
                                    .orElseThrow(() ->
                                            new EspalierException(
                                                    "The graph's output '"
                                                            + output
                                                            + "' is of no known type."))));
        }
        return new ModelInterface(inputs, outputs);
    }

    private static TensorInfo info(String name, TensorType type) {
        return new TensorInfo(
                name,
                ElementType.of(type.type()),
                Optional.of(type.shape().stream().map(ModelInterface::extent).toList()));
    }

    private static Extent extent(Size size) {
        return switch (size) {
            case Size.Fixed(long value) -> new Extent(OptionalLong.of(value), "");
            case Size.Free(String name) -> new Extent(OptionalLong.empty(), name);
            default -> new Extent(OptionalLong.empty(), symbol(size.toString()));
        };
    }

    List<String> inputNames() {
        return inputs.stream().map(TensorInfo::name).toList();
    }

    List<String> outputNames() {
        return outputs.stream().map(TensorInfo::name).toList();
    }

    /** As notes in a file. */
    Map<String, String> notes() {
        return Map.of(INPUTS, json(inputs), OUTPUTS, json(outputs));
    }

    private static String json(List<TensorInfo> infos) {
        return MetadataJson.write(infos.stream().map(ModelInterface::described).toList());
    }

    private static Map<String, Object> described(TensorInfo info) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put(NAME, info.name());
        all.put(TYPE, info.type().name().toLowerCase(Locale.ROOT));
        info.extents()
                .ifPresent(extents ->
                        all.put(
                                SHAPE,
                                extents.stream()
                                        .map(extent ->
                                                extent.fixed().isPresent()
                                                        ? (Object) extent.fixed().getAsLong()
                                                        : extent.symbol())
                                        .toList()));
        return all;
    }

    /**
     * What notes say, or the graph itself where there are none.
     *
     * @throws EspalierException if they can't be read, or are of another graph; the message is a
     *     reason that follows a place
     */
    static ModelInterface read(Map<String, String> notes, GraphModule module) {
        if (!notes.containsKey(INPUTS) && !notes.containsKey(OUTPUTS)) {
            return of(module);
        }
        var found = new ModelInterface(infos(notes.get(INPUTS)), infos(notes.get(OUTPUTS)));
        if (found.inputs.size() != module.graph().inputs().size()
                || found.outputs.size() != module.graph().outputs().size()) {
            throw new EspalierException(
                    "its notes name %d inputs and %d outputs, its graph has %d and %d."
                            .formatted(
                                    found.inputs.size(),
                                    found.outputs.size(),
                                    module.graph().inputs().size(),
                                    module.graph().outputs().size()));
        }
        return found;
    }

    private static List<TensorInfo> infos(@Nullable String json) {
        List<Map<String, Object>> all =
                MetadataJson.read(json == null ? "" : json, new TypeReference<>() {});
        return all.stream().map(ModelInterface::info).toList();
    }

    private static TensorInfo info(Map<String, Object> described) {
        if (!(described.get(NAME) instanceof String name)
                || !(described.get(TYPE) instanceof String type)) {
            throw new EspalierException("its notes have a tensor without name or type");
        }
        return new TensorInfo(
                name,
                type(type),
                described.get(SHAPE) instanceof List<?> shape
                        ? Optional.of(shape.stream().map(ModelInterface::read).toList())
                        : Optional.empty());
    }

    private static ElementType type(String name) {
        for (ElementType type : ElementType.values()) {
            if (type.name().toLowerCase(Locale.ROOT).equals(name)) {
                return type;
            }
        }
        throw new EspalierException("its notes have the unknown type '" + name + "'");
    }

    private static Extent read(Object extent) {
        return extent instanceof Number number
                ? new Extent(OptionalLong.of(number.longValue()), "")
                : new Extent(OptionalLong.empty(), extent.toString());
    }
}
