package io.espalier.onnx;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.GeneralCodingRules.ACCESS_STANDARD_STREAMS;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;

import java.lang.reflect.Modifier;

/** The rooms for ONNX files, and who may know whom. */
@AnalyzeClasses(packages = "io.espalier.onnx", importOptions = DoNotIncludeTests.class)
class OnnxArchitectureTest {
    @ArchTest
    static final ArchRule ROOMS_POINT_ONE_WAY =
            layeredArchitecture()
                    .consideringOnlyDependenciesInLayers()
                    .layer("proto")
                    .definedBy("io.espalier.onnx.proto..")
                    .layer("model")
                    .definedBy("io.espalier.onnx.model..")
                    .layer("shape")
                    .definedBy("io.espalier.onnx.shape..")
                    .layer("run")
                    .definedBy("io.espalier.onnx.run..")
                    .layer("inputs")
                    .definedBy("io.espalier.onnx.inputs..")
                    .layer("compare")
                    .definedBy("io.espalier.onnx.compare..")
                    .layer("repair")
                    .definedBy("io.espalier.onnx.repair..")
                    .layer("fit")
                    .definedBy("io.espalier.onnx.fit..")
                    .layer("lower")
                    .definedBy("io.espalier.onnx.lower..")
                    .layer("export")
                    .definedBy("io.espalier.onnx.export..")
                    .layer("quant")
                    .definedBy("io.espalier.onnx.quant..")
                    .layer("tune")
                    .definedBy("io.espalier.onnx.tune..")
                    .layer("slim")
                    .definedBy("io.espalier.onnx.slim..")
                    .layer("serve")
                    .definedBy("io.espalier.onnx.serve..")
                    .whereLayer("proto")
                    .mayNotAccessAnyLayer()
                    .whereLayer("model")
                    .mayOnlyAccessLayers("proto")
                    .whereLayer("shape")
                    .mayOnlyAccessLayers("proto", "model")
                    .whereLayer("run")
                    .mayOnlyAccessLayers("proto", "model", "shape")
                    .whereLayer("inputs")
                    .mayOnlyAccessLayers("proto", "model")
                    .whereLayer("compare")
                    .mayOnlyAccessLayers("proto", "model", "shape", "run", "inputs", "repair")
                    .whereLayer("repair")
                    .mayOnlyAccessLayers("proto", "model", "shape", "run", "inputs")
                    .whereLayer("fit")
                    .mayOnlyAccessLayers("proto", "model", "shape", "run")
                    .whereLayer("lower")
                    .mayOnlyAccessLayers("proto", "model", "shape", "run", "inputs", "repair")
                    .whereLayer("export")
                    .mayOnlyAccessLayers("proto", "model")
                    .whereLayer("quant")
                    .mayOnlyAccessLayers(
                            "proto", "model", "shape", "run", "inputs", "compare", "repair", "fit",
                            "lower")
                    .whereLayer("tune")
                    .mayOnlyAccessLayers(
                            "proto", "model", "shape", "run", "inputs", "compare", "repair", "fit",
                            "lower", "quant", "slim")
                    .whereLayer("slim")
                    .mayOnlyAccessLayers(
                            "proto", "model", "shape", "run", "inputs", "compare", "repair", "fit",
                            "lower", "quant")
                    .whereLayer("serve")
                    .mayOnlyAccessLayers("proto", "model", "run", "inputs", "repair", "lower");

    @ArchTest
    static final ArchRule EVERY_PACKAGE_IS_A_KNOWN_ROOM =
            classes()
                    .should()
                    .resideInAnyPackage(
                            "io.espalier.onnx.proto..",
                            "io.espalier.onnx.model..",
                            "io.espalier.onnx.shape..",
                            "io.espalier.onnx.run..",
                            "io.espalier.onnx.inputs..",
                            "io.espalier.onnx.compare..",
                            "io.espalier.onnx.repair..",
                            "io.espalier.onnx.lower..",
                            "io.espalier.onnx.export..",
                            "io.espalier.onnx.quant..",
                            "io.espalier.onnx.tune..",
                            "io.espalier.onnx.fit..",
                            "io.espalier.onnx.slim..",
                            "io.espalier.onnx.serve..");

    @ArchTest
    static final ArchRule ONLY_RUN_KNOWS_ONNX_RUNTIME =
            noClasses()
                    .that()
                    .resideOutsideOfPackage("io.espalier.onnx.run..")
                    .should()
                    .dependOnClassesThat()
                    .resideInAPackage("ai.onnxruntime..");

    /** A program imports all of both with wildcards; the guide names the exception. */
    @ArchTest
    static final ArchRule NAMES_ARE_NOT_THOSE_OF_LAYERS =
            classes()
                    .that()
                    .arePublic()
                    .and()
                    .areTopLevelClasses()
                    .and()
                    .resideOutsideOfPackage("io.espalier.onnx.proto..")
                    .and()
                    .doNotHaveSimpleName("Recipe")
                    .should(haveANameThatIsNone("io.espalier.nn"));

    private static ArchCondition<JavaClass> haveANameThatIsNone(String ofPackage) {
        return new ArchCondition<>("have a name that no public type has of " + ofPackage) {
            @Override
            public void check(JavaClass type, ConditionEvents events) {
                try {
                    Class<?> other = Class.forName(ofPackage + "." + type.getSimpleName());
                    events.add(
                            new SimpleConditionEvent(
                                    type,
                                    !Modifier.isPublic(other.getModifiers()),
                                    type.getName() + " and " + other.getName()));
                } catch (ClassNotFoundException e) {
                    events.add(SimpleConditionEvent.satisfied(type, type.getName()));
                }
            }
        };
    }

    @ArchTest
    static final ArchRule PRINTS_NOTHING =
            noClasses()
                    .that()
                    .resideOutsideOfPackage("io.espalier.onnx.proto..")
                    .should(ACCESS_STANDARD_STREAMS);
}
