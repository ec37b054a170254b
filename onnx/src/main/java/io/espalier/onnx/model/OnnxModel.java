package io.espalier.onnx.model;

import io.espalier.onnx.proto.FunctionProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.StringStringEntryProto;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.nio.file.Path;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * A model of an ONNX file: its graph, the versions of the operators that it calls, and what the
 * file says besides, all of which comes back when it is saved.
 *
 * <p>Weights stay in the file, mapped, until they are read: a model of several gigabytes loads at
 * once. Opsets 7 to 23 and IR versions 3 to 11 are read.
 */
public final class OnnxModel {
    private static final long OLDEST_IR = 3;
    private static final long IR_WITH_DEFAULTS = 4;

    private final ModelProto rest;
    private final OnnxGraph graph;
    private final Map<Path, Long> externalFiles;
    private final boolean sparse;

    private OnnxModel(
            ModelProto rest, OnnxGraph graph, Map<Path, Long> externalFiles, boolean sparse) {
        this.rest = rest;
        this.graph = graph;
        this.externalFiles = externalFiles;
        this.sparse = sparse;
    }

    /**
     * Reads a file.
     *
     * @throws EspalierException if it can't be read, is no ONNX model, or is damaged
     */
    public static OnnxModel load(Path file) {
        return ModelFile.read(Needed.of(file, "the file to load"));
    }

    /** The model of a message whose larger tensors may lie in other files. */
    static OnnxModel of(ModelProto proto, ExternalData data) {
        if (proto.getIrVersion() < OLDEST_IR) {
            throw new EspalierException(
                    "It has IR version %d; versions from %d on are read."
                            .formatted(proto.getIrVersion(), OLDEST_IR));
        }
        return of(proto, data, Map.of());
    }

    private static OnnxModel of(
            ModelProto proto, ExternalData data, Map<String, ConstantTensor> constants) {
        boolean sparse = proto.getGraph().getSparseInitializerCount() > 0;
        var all = new LinkedHashMap<>(SparseConstants.dense(proto.getGraph(), data));
        all.putAll(constants);
        var graph =
                new OnnxGraph(
                        sparse
                                ? proto.getGraph().toBuilder().clearSparseInitializer().build()
                                : proto.getGraph(),
                        data,
                        all,
                        proto.getIrVersion() >= IR_WITH_DEFAULTS);
        ModelProto rest = new ExternalTensors(data).held(proto.toBuilder().clearGraph().build());
        return new OnnxModel(rest, graph, data.files(), sparse);
    }

    /** The model of a message that holds all of it. */
    public static OnnxModel of(ModelProto proto) {
        return of(proto, ExternalData.NONE);
    }

    /** The model of a message and of constants that it does not hold itself. */
    public static OnnxModel of(ModelProto proto, Map<String, ConstantTensor> constants) {
        return of(proto, ExternalData.NONE, constants);
    }

    /**
     * Writes the model beside its place and moves it there, whole or not at all. Where it came with
     * its weights in another file, or has more than one file can hold, they are written to {@code
     * FILE.data}.
     *
     * @throws EspalierException if it can't be written; the file that was there is as it was
     */
    public void save(Path file) {
        ModelFile.write(this, Needed.of(file, "the file to write"));
    }

    /**
     * All of it as one message.
     *
     * @throws EspalierException if its constants are more than a message holds
     */
    public ModelProto toProto() {
        if (!fitsOneMessage()) {
            throw new EspalierException(
                    "Constants of %d MB don't fit one message; save the model to a file."
                            .formatted(constantBytes() / 1_000_000));
        }
        return ModelFile.message(this, (name, constant) -> constant.toProto(name));
    }

    /** Whether its constants fit one message, which holds less than two gigabytes. */
    public boolean fitsOneMessage() {
        return constantBytes() <= ModelFile.WEIGHTS_WITHIN;
    }

    /** Its graph; passes rewrite it in place. */
    public OnnxGraph graph() {
        return graph;
    }

    /**
     * A model whose graph is rewritten by itself; constants are shared, since they never change.
     */
    public OnnxModel copy() {
        return new OnnxModel(rest, graph.copy(), externalFiles, sparse);
    }

    /** The model that a pass makes of a copy of this one's graph. */
    public OnnxModel rewritten(Consumer<OnnxGraph> pass) {
        OnnxModel copy = copy();
        pass.accept(copy.graph);
        return copy;
    }

    /**
     * A model of some nodes alone, calling operators of the same versions.
     *
     * @param constants what the nodes read that is the same in each run
     * @param inputs what they read otherwise, with its type
     * @param outputs which of their results it gives
     */
    public OnnxModel fragment(
            Collection<OnnxNode> nodes,
            Map<String, ConstantTensor> constants,
            Map<String, ElementType> inputs,
            Collection<String> outputs) {
        var graph = GraphProto.newBuilder().setName("fragment");
        inputs.forEach((name, type) ->
                graph.addInput(
                        ValueInfoProto.newBuilder()
                                .setName(name)
                                .setType(
                                        TypeProto.newBuilder()
                                                .setTensorType(
                                                        TypeProto.Tensor.newBuilder()
                                                                .setElemType(type.code())))));
        constants.forEach((name, constant) -> graph.addInitializer(constant.toProto(name)));
        nodes.forEach(node -> graph.addNode(node.toProto()));
        outputs.forEach(name -> graph.addOutput(ValueInfoProto.newBuilder().setName(name)));
        return of(rest.toBuilder().clearTrainingInfo().setGraph(graph).build());
    }

    /** The version of the standard's operators that it calls. */
    public long opset() {
        return opsets().getOrDefault("", 1L);
    }

    /** The version of each domain's operators; the standard's domain is empty. */
    public Map<String, Long> opsets() {
        var versions = new LinkedHashMap<String, Long>();
        for (OperatorSetIdProto id : rest.getOpsetImportList()) {
            versions.put(id.getDomain().equals("ai.onnx") ? "" : id.getDomain(), id.getVersion());
        }
        return versions;
    }

    /** The same model that may also call operators of this domain and version. */
    public OnnxModel withOpset(String domain, long version) {
        var ids = rest.toBuilder().clearOpsetImport();
        boolean found = false;
        for (OperatorSetIdProto id : rest.getOpsetImportList()) {
            String known = id.getDomain().equals("ai.onnx") ? "" : id.getDomain();
            found |= known.equals(domain);
            ids.addOpsetImport(
                    known.equals(domain) ? id.toBuilder().setVersion(version).build() : id);
        }
        if (!found) {
            ids.addOpsetImport(
                    OperatorSetIdProto.newBuilder().setDomain(domain).setVersion(version));
        }
        return new OnnxModel(ids.build(), graph.copy(), externalFiles, sparse);
    }

    /** The same model, which names no version of this domain's operators if it calls none. */
    public OnnxModel withoutUnusedOpset(String domain) {
        if (hasFunctions() || graph.nodes().stream().anyMatch(node -> node.calls(domain))) {
            return this;
        }
        var ids = rest.toBuilder().clearOpsetImport();
        rest.getOpsetImportList().stream()
                .filter(id -> !id.getDomain().equals(domain))
                .forEach(ids::addOpsetImport);
        return new OnnxModel(ids.build(), graph.copy(), externalFiles, sparse);
    }

    /** The version of the file's format. */
    public long irVersion() {
        return rest.getIrVersion();
    }

    /** What the file says about itself, by key. */
    public Map<String, String> metadata() {
        var metadata = new LinkedHashMap<String, String>();
        for (StringStringEntryProto entry : rest.getMetadataPropsList()) {
            metadata.put(entry.getKey(), entry.getValue());
        }
        return metadata;
    }

    /** The same model that says this of itself; nothing under this key where it is empty. */
    public OnnxModel withMetadata(String key, String value) {
        var changed = rest.toBuilder().clearMetadataProps();
        rest.getMetadataPropsList().stream()
                .filter(entry -> !entry.getKey().equals(key))
                .forEach(changed::addMetadataProps);
        if (!value.isEmpty()) {
            changed.addMetadataProps(
                    StringStringEntryProto.newBuilder().setKey(key).setValue(value));
        }
        return new OnnxModel(changed.build(), graph.copy(), externalFiles, sparse);
    }

    /** The program that made it, and that program's version; empty if the file doesn't say. */
    public String producer() {
        return (rest.getProducerName() + " " + rest.getProducerVersion()).strip();
    }

    /** How many inputs are weights with a default, which a caller may leave as it is. */
    public int weightInputs() {
        return graph.weightInputs().size();
    }

    /**
     * The model with the defaults of weights that are inputs as constants, which nobody may give
     * any more.
     */
    public OnnxModel withWeightsTaken() {
        return weightInputs() == 0 ? this : rewritten(g -> g.takeDefaults(g.weightInputs()));
    }

    /**
     * The model with the defaults of its inputs as constants, which nobody may give any more.
     *
     * @param given inputs that are left
     */
    public OnnxModel withDefaultsTaken(Set<String> given) {
        var taken = new HashSet<>(graph.defaults());
        taken.removeAll(given);
        return taken.isEmpty() ? this : rewritten(g -> g.takeDefaults(taken));
    }

    /** Whether functions of its own stand beside the graph. */
    public boolean hasFunctions() {
        return rest.getFunctionsCount() > 0;
    }

    /** The functions of its own. */
    public List<FunctionProto> functions() {
        return rest.getFunctionsList();
    }

    /** The model without its functions, which nothing may call. */
    public OnnxModel withoutFunctions() {
        return withFunctions(List.of());
    }

    /** The model with others in the place of its functions. */
    public OnnxModel withFunctions(List<FunctionProto> others) {
        return new OnnxModel(
                rest.toBuilder().clearFunctions().addAllFunctions(others).build(),
                graph.copy(),
                externalFiles,
                sparse);
    }

    /** About the bytes of its files: nodes, constants and all that stands beside them. */
    public long byteSize() {
        long nodes = graph.nodes().stream().mapToLong(n -> n.toProto().getSerializedSize()).sum();
        return rest.getSerializedSize() + nodes + constantBytes();
    }

    /** Bytes of all constants of its graph. */
    public long constantBytes() {
        return graph.constants().values().stream().mapToLong(ConstantTensor::byteSize).sum();
    }

    /** Bytes of the files beside its own that its weights came in; 0 if it was one file. */
    public long externalBytes() {
        return externalFiles.values().stream().mapToLong(Long::longValue).sum();
    }

    /** The files beside its own that its weights came in. */
    public Set<Path> externalFiles() {
        return externalFiles.keySet();
    }

    /**
     * The same model that stores a constant as the standard's sparse initializer, or does not,
     * wherever that takes fewer bytes: from about 70 % of zeros on in 32-bit floats. Whoever runs
     * the file has it dense in memory. Constants that lie in a file beside the model's stay as they
     * are; a model that came with sparse initializers has some again when it is saved.
     */
    public OnnxModel storedSparse(boolean on) {
        return new OnnxModel(rest, graph.copy(), externalFiles, on);
    }

    /** Whether constants are stored as sparse initializers where that takes fewer bytes. */
    public boolean isStoredSparse() {
        return sparse;
    }

    /** All that stands beside the graph. */
    ModelProto rest() {
        return rest;
    }

    /** Whether its weights came in files beside its own. */
    boolean isExternal() {
        return externalBytes() > 0;
    }
}
